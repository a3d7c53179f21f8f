//! The log-uniform proposal.

use lexmax_kernels::seed::Generator;
use lexmax_output::Result;
use rand::RngExt;

use super::{Proposal, check_vocab_size};

/// Log-uniform proposal, a function of the rank alone and close to Zipf's law:
/// `q_c = log((c + 2) / (c + 1)) / log(V + 1)` (the log-uniform candidate sampler of TensorFlow).
/// It needs ids sorted by falling frequency, and no counts.
///
/// Drawn by inverting the distribution function `log(c + 2) / log(V + 1)`: one random number and
/// one exponential a draw.
///
/// ```
/// use lexmax_kernels::seed::generator;
/// use lexmax_sampled::Proposal;
/// use lexmax_sampled::proposal::LogUniform;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let proposal = LogUniform::new(1000)?;
/// assert!((proposal.prob(0) - 2_f64.ln() / 1001_f64.ln()).abs() < 1e-15);
/// assert_eq!(proposal.draws(&mut generator(1, "negatives", 0), 20).len(), 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LogUniform {
    vocab_size: i64,
    /// `log(V + 1)`.
    log_range: f64,
}

impl LogUniform {
    /// The log-uniform distribution over `vocab_size` classes.
    ///
    /// # Errors
    /// No classes.
    pub fn new(vocab_size: i64) -> Result<Self> {
        check_vocab_size("log-uniform proposal", vocab_size)?;
        Ok(Self { vocab_size, log_range: (vocab_size as f64 + 1.0).ln() })
    }
}

impl Proposal for LogUniform {
    fn vocab_size(&self) -> i64 {
        self.vocab_size
    }

    fn prob(&self, id: i64) -> f64 {
        if (0..self.vocab_size).contains(&id) {
            (1.0 / (id as f64 + 1.0)).ln_1p() / self.log_range
        } else {
            0.0
        }
    }

    fn draw(&self, rng: &mut Generator) -> i64 {
        let rank_plus_one = (rng.random::<f64>() * self.log_range).exp();
        // Rounding may reach V + 1.
        (rank_plus_one as i64 - 1).clamp(0, self.vocab_size - 1)
    }
}
