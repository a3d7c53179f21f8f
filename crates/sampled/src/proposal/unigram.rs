//! The unigram proposal with an exponent.

use lexmax_kernels::seed::Generator;
use lexmax_output::{OutputError, Result, WordCounts};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use super::{Proposal, entry};

/// Training counts with an exponent: `q_c = (n_c + 1)^alpha / sum_j (n_j + 1)^alpha`.
///
/// The added one keeps `q` of a class that training never saw above zero, so it may be a target.
/// `alpha = 0` is the uniform distribution, `alpha = 1` the (add-one) frequencies, `alpha = 0.75`
/// the noise of word2vec (Mikolov et al. 2013, "Distributed Representations of Words and Phrases
/// and their Compositionality", arXiv 1310.4546).
///
/// Drawn from an alias table (Walker 1977): two random numbers a draw, `V` numbers of memory three
/// times.
///
/// ```
/// use lexmax_output::WordCounts;
/// use lexmax_sampled::Proposal;
/// use lexmax_sampled::proposal::Unigram;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let proposal = Unigram::new(&WordCounts::new(vec![8, 3, 0])?, 0.5)?;
/// assert!((proposal.prob(0) - 3.0 / 6.0).abs() < 1e-15); // sqrt(8 + 1) of sqrt(9) + sqrt(4) + sqrt(1)
/// assert!((proposal.prob(2) - 1.0 / 6.0).abs() < 1e-15); // never seen, still possible
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Unigram {
    probs: Vec<f64>,
    table: WeightedAliasIndex<f64>,
}

impl Unigram {
    /// The distribution of the counts to the power `power`.
    ///
    /// # Errors
    /// A power outside `0..=1`; more classes than the alias table can hold.
    pub fn new(counts: &WordCounts, power: f64) -> Result<Self> {
        let op = "unigram proposal";
        if !(0.0..=1.0).contains(&power) {
            return Err(OutputError::argument(op, "power", power, "0 <= power <= 1"));
        }
        let weights: Vec<f64> =
            counts.counts().iter().map(|&count| (count as f64 + 1.0).powf(power)).collect();
        let total: f64 = weights.iter().sum();
        let probs: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        let table = WeightedAliasIndex::new(probs.clone()).map_err(|error| {
            OutputError::argument(op, "counts", error, "weights that an alias table takes")
        })?;
        Ok(Self { probs, table })
    }
}

impl Proposal for Unigram {
    fn vocab_size(&self) -> i64 {
        self.probs.len() as i64
    }

    fn prob(&self, id: i64) -> f64 {
        entry(&self.probs, id)
    }

    fn draw(&self, rng: &mut Generator) -> i64 {
        self.table.sample(rng) as i64
    }
}
