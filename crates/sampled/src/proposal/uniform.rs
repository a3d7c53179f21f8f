//! The uniform proposal.

use lexmax_kernels::seed::Generator;
use lexmax_output::Result;
use rand::RngExt;

use super::{Proposal, check_vocab_size};

/// Every class alike: `q_c = 1 / V`. Cost: one random number a draw.
///
/// ```
/// use lexmax_kernels::seed::generator;
/// use lexmax_sampled::Proposal;
/// use lexmax_sampled::proposal::Uniform;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let proposal = Uniform::new(50)?;
/// assert_eq!(proposal.prob(49), 0.02);
/// assert!((0..50).contains(&proposal.draw(&mut generator(1, "negatives", 0))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Uniform {
    vocab_size: i64,
}

impl Uniform {
    /// The uniform distribution over `vocab_size` classes.
    ///
    /// # Errors
    /// No classes.
    pub fn new(vocab_size: i64) -> Result<Self> {
        check_vocab_size("uniform proposal", vocab_size)?;
        Ok(Self { vocab_size })
    }
}

impl Proposal for Uniform {
    fn vocab_size(&self) -> i64 {
        self.vocab_size
    }

    fn prob(&self, id: i64) -> f64 {
        if (0..self.vocab_size).contains(&id) { 1.0 / self.vocab_size as f64 } else { 0.0 }
    }

    fn draw(&self, rng: &mut Generator) -> i64 {
        rng.random_range(0..self.vocab_size)
    }
}
