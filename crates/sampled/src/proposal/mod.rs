//! Distributions that negatives are drawn from, each with the probability `q` that it declares for
//! every class.
//!
//! Contract: `q_c > 0` for every class (a target with `q = 0` would have the logarithm of zero in
//! its loss), the `q` sum to 1, and draws follow exactly them. [`crate::Sampler::new`] refuses a
//! proposal that declares another `q`.

mod in_batch;
mod log_uniform;
mod uniform;
mod unigram;

pub use in_batch::InBatch;
pub use log_uniform::LogUniform;
pub use uniform::Uniform;
pub use unigram::Unigram;

use lexmax_kernels::seed::Generator;

/// A fixed distribution `q` over `V` classes that can be drawn from.
pub trait Proposal: std::fmt::Debug + Send + Sync {
    /// Number of classes, `V`.
    fn vocab_size(&self) -> i64;

    /// Probability `q` of a class; zero outside `0..V`.
    fn prob(&self, id: i64) -> f64;

    /// One class, from the given generator alone.
    fn draw(&self, rng: &mut Generator) -> i64;

    /// `n` independent draws.
    fn draws(&self, rng: &mut Generator, n: usize) -> Vec<i64> {
        (0..n).map(|_| self.draw(rng)).collect()
    }

    /// Natural logarithms of the probabilities of some classes.
    fn log_prob(&self, ids: &[i64]) -> Vec<f64> {
        ids.iter().map(|&id| self.prob(id).ln()).collect()
    }
}

/// An entry of a table by class, zero outside it.
fn entry(table: &[f64], id: i64) -> f64 {
    usize::try_from(id).ok().and_then(|id| table.get(id)).copied().unwrap_or(0.0)
}

fn check_vocab_size(op: &'static str, vocab_size: i64) -> lexmax_output::Result<()> {
    if vocab_size < 1 {
        return Err(lexmax_output::OutputError::argument(op, "vocab_size", vocab_size, "at least 1"));
    }
    Ok(())
}
