//! The trait that every output layer implements.

use lexmax_kernels::seed::Generator;
use tch::Tensor;

use crate::fused::Filtered;
use crate::{LayerCost, LogProb, Result, TopK, TrainingLoss};

/// A distribution over `V` classes from hidden states `[N, D]`.
///
/// An implementation answers for these laws, which the crate `lexmax-conformance` tests:
/// * `log_probs` sums to 1 in every row, and `log_prob` is its entry at the target;
/// * where [`TrainingLoss::is_exact`], the loss of row `i` without options is `-log_prob[i]`;
/// * rows do not influence each other's `log_prob`, and rows with the ignored target influence
///   nothing;
/// * `top_k` and `sample` follow `log_probs` exactly;
/// * `log_prob` and `log_probs` are differentiable, `top_k` and `sample` record no graph;
/// * draws come from the given generator alone: the same seed gives the same bits with any number
///   of threads;
/// * bad input is an error that names the operation, the value and what was expected, never a
///   panic.
///
/// Log-probabilities have the dtype of the parameters; where that is of half precision they are
/// f32, the loss is not.
///
/// Ids are ranks of falling frequency: class 0 is the most frequent one.
pub trait OutputLayer: std::fmt::Debug {
    /// Name of the layer as in a configuration, for messages and tables.
    fn name(&self) -> &'static str;

    /// Number of classes, `V`.
    fn vocab_size(&self) -> i64;

    /// Width of the hidden states, `D`.
    fn hidden_size(&self) -> i64;

    /// Training loss of hidden states `[N, D]` and targets `[N]` (i64): a scalar, or `[N]` with the
    /// reduction `none`. It may be a surrogate; layers that draw negatives take them from `rng`.
    ///
    /// # Errors
    /// Shapes that do not fit, a target that names no class, hidden states that are not finite.
    fn loss(&self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss>;

    /// Exact log-probability of one target per row, `[N]`.
    ///
    /// # Errors
    /// As [`OutputLayer::loss`]; no target is ignored here.
    fn log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb>;

    /// Exact log-probabilities of all classes, `[N, V]`.
    ///
    /// # Errors
    /// Shapes that do not fit, hidden states that are not finite.
    fn log_probs(&self, hidden: &Tensor) -> Result<LogProb>;

    /// The exact `k` most probable classes of each row. Where a bound prunes (clusters, trees), not
    /// all `V` are scored.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs`], and `k` outside `1..=V`.
    fn top_k(&self, hidden: &Tensor, k: i64) -> Result<TopK>;

    /// One exact draw from the distribution of each row, `[N]`, i64.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs`].
    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor>;

    /// Rebuilds what adapts to the parameters (samplers that follow the model). Nothing by default.
    ///
    /// # Errors
    /// libtorch refused.
    fn refresh(&mut self) -> Result<()> {
        Ok(())
    }

    /// Entries that the gradient filter dropped in the last step; `None` where gradients are exact.
    fn left_out(&self) -> Option<Filtered> {
        None
    }

    /// Cost of a step over `rows` rows, counted from the sizes.
    fn cost(&self, rows: u64) -> LayerCost;
}
