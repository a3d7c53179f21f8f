//! The trait that every output layer implements.

use lexmax_kernels::seed::{Generator, generator};
use tch::Tensor;

use crate::compute::ComputePath;
use crate::draws::{Draws, STREAM};
use crate::fused::Filtered;
use crate::leading::Rows;
use crate::{LayerCost, LogProb, Result, TopK, TrainingLoss};

/// A distribution over `V` classes from hidden states `[.., D]`.
///
/// **Callers** use [`loss`](OutputLayer::loss), [`log_prob`](OutputLayer::log_prob),
/// [`log_probs`](OutputLayer::log_probs), [`top_k`](OutputLayer::top_k) and
/// [`sample`](OutputLayer::sample). They take hidden states of any leading shape, `[N, D]`,
/// `[B, T, D]` or one state `[D]`, and targets of that leading shape (`[N]`, `[B, T]`, a scalar);
/// answers have it too.
///
/// **Implementations** write the methods on rows, `[N, D]` and `[N]`, whose names end in `_rows`.
/// They answer for these laws, which the crate `lexmax-conformance` tests:
/// * `log_probs` sums to 1 in every row, and `log_prob` is its entry at the target;
/// * where [`TrainingLoss::is_exact`], the loss of row `i` without options is `-log_prob[i]`;
/// * rows do not influence each other's `log_prob`, and rows with the ignored target influence
///   nothing;
/// * `top_k` and `sample` follow `log_probs` exactly;
/// * `log_prob` and `log_probs` are differentiable, `top_k` and `sample` record no graph;
/// * draws come from the given generator alone: the same seed gives the same bits with any number
///   of threads;
/// * a leading shape changes no bit of an answer;
/// * bad input is an error that names the operation, the value and what was expected, never a
///   panic.
///
/// Log-probabilities have the dtype of the parameters; where that is of half precision they are
/// f32, the loss is not.
///
/// Ids are ranks of falling frequency: class 0 is the most frequent one. For data whose ids are not
/// sorted so, [`ClassOrder`](crate::ClassOrder) maps them both ways.
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
    fn loss_rows(&self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss>;

    /// Exact log-probability of one target per row, `[N]`.
    ///
    /// # Errors
    /// As [`OutputLayer::loss_rows`]; no target is ignored here.
    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb>;

    /// Exact log-probabilities of all classes, `[N, V]`.
    ///
    /// # Errors
    /// Shapes that do not fit, hidden states that are not finite.
    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb>;

    /// Exact `k` most probable classes of each row, `[N, k]`. Where a bound prunes (clusters,
    /// trees), not all `V` are scored.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs_rows`], and `k` outside `1..=V`.
    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK>;

    /// One exact draw from the distribution of each row, `[N]`, i64.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs_rows`].
    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor>;

    /// Path of the training loss.
    fn compute_path(&self) -> ComputePath {
        ComputePath::Reference
    }

    /// Sequence of generators for the calls of [`OutputLayer::loss`], of a layer whose loss draws
    /// negatives; `None` for one whose loss draws nothing.
    fn draws(&self) -> Option<&Draws> {
        None
    }

    /// Training loss of hidden states `[.., D]` and targets `[..]` (i64): a scalar, or one loss
    /// for each target, `[..]`, with the reduction `none`. It may be a surrogate.
    ///
    /// A layer that draws negatives takes those of the `n`-th call, from 0, from
    /// `generator(seed, "negatives", n)` of [`lexmax_kernels::seed`], where `seed` is the one that
    /// it was built with. A call that fails does not count. A program that is to go on from a
    /// checkpoint with the same bits saves `n` beside the parameters: [`OutputLayer::draws`] has
    /// it.
    ///
    /// # Errors
    /// Shapes that do not fit, a target that names no class, hidden states that are not finite.
    fn loss(&self, hidden: &Tensor, targets: &Tensor) -> Result<TrainingLoss> {
        match self.draws() {
            Some(draws) => draws.next(|rng| self.loss_with(hidden, targets, rng)),
            None => self.loss_with(hidden, targets, &mut generator(0, STREAM, 0)),
        }
    }

    /// Training loss, [`OutputLayer::loss`], with negatives from the caller's generator. The
    /// sequence of the layer's own is left where it is.
    ///
    /// # Errors
    /// As [`OutputLayer::loss`].
    fn loss_with(&self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss> {
        let rows = Rows::with_targets(self.name(), "loss", self.hidden_size(), hidden, targets)?;
        rows.loss(self.loss_rows(rows.hidden(), rows.targets(), rng)?)
    }

    /// Exact log-probability of one target for each hidden state, `[..]`.
    ///
    /// # Errors
    /// As [`OutputLayer::loss`]; no target is ignored here.
    fn log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        let rows = Rows::with_targets(self.name(), "log_prob", self.hidden_size(), hidden, targets)?;
        let of_rows = self.log_prob_rows(rows.hidden(), rows.targets())?;
        Ok(LogProb::of_targets(rows.shaped(of_rows.into_tensor())?))
    }

    /// Exact log-probabilities of all classes, `[.., V]`.
    ///
    /// # Errors
    /// Shapes that do not fit, hidden states that are not finite.
    fn log_probs(&self, hidden: &Tensor) -> Result<LogProb> {
        let rows = Rows::new(self.hidden_size(), hidden)?;
        let of_rows = self.log_probs_rows(rows.hidden())?;
        Ok(LogProb::of_all_classes(rows.shaped(of_rows.into_tensor())?))
    }

    /// Exact `k` most probable classes for each hidden state, `[.., k]`. Where a bound prunes
    /// (clusters, trees), not all `V` are scored.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs`], and `k` outside `1..=V`.
    fn top_k(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        let rows = Rows::new(self.hidden_size(), hidden)?;
        let TopK { log_probs, ids } = self.top_k_rows(rows.hidden(), k)?;
        Ok(TopK { log_probs: rows.shaped(log_probs)?, ids: rows.shaped(ids)? })
    }

    /// One exact draw from the distribution of each hidden state, `[..]`, i64.
    ///
    /// # Errors
    /// As [`OutputLayer::log_probs`].
    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        let rows = Rows::new(self.hidden_size(), hidden)?;
        rows.shaped(self.sample_rows(rows.hidden(), rng)?)
    }

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
