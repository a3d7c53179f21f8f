//! Negatives that are the batch's own targets.

use lexmax_output::WordCounts;

use super::entry;

/// The other targets of the batch as negatives. They cost no draw and no extra rows of the weight;
/// each is as probable as its class is in training, which the expected count corrects (Yi et al.
/// 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys).
///
/// `q_c = (n_c + 1) / (sum_j n_j + V)` from training counts `n`: add-one, so a target that training
/// never saw has a correction too. Row `i` has the targets of the `N - 1` other rows; each class is
/// expected `(N - 1) q_c` times. A batch of one row has no negatives: its sampled softmax is zero.
///
/// ```
/// use lexmax_output::WordCounts;
/// use lexmax_sampled::proposal::InBatch;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let proposal = InBatch::new(&WordCounts::new(vec![6, 1, 0])?);
/// assert_eq!(proposal.prob(0), 0.7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct InBatch {
    probs: Vec<f64>,
}

impl InBatch {
    /// The distribution of targets in training.
    pub fn new(counts: &WordCounts) -> Self {
        Self { probs: counts.smoothed_probs() }
    }

    /// Probability `q` that a row's target is this class; zero outside `0..V`.
    pub fn prob(&self, id: i64) -> f64 {
        entry(&self.probs, id)
    }
}
