//! The fused path on a CPU: linear layer, softmax and loss in one sweep by `lexmax-kernels`, as one
//! node of libtorch's graph by `lexmax-autograd`. Logits `[N, V]` are never made.
//!
//! Every layer that ends in a softmax over a linear layer can use it; [`Compute`] says when it is
//! taken.

mod cross_entropy;
mod filter;
mod inputs;
mod kernel;
mod queries;
mod sweep;
mod workspaces;

use tch::Tensor;

pub use filter::{Filtered, GradientFilter};
pub use inputs::{Gradient, Gradients, Inputs, linear_gradients};
pub use kernel::{KernelSweep, Sweep, in_kind};
pub use sweep::LinearSweep;
pub use workspaces::{ByKind, FusedKind, MemoryLimit, Scratch, Sweeps, Workspaces};

pub use crate::compute::Compute;
pub use crate::node::{Factor, Node, TensorSweep};

use crate::{Batch, Linear, Result, TrainingLoss};
use cross_entropy::LinearCrossEntropy;

/// Terms of the training loss beside those of [`crate::LossOptions`]; none by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// Weight of the squared log-normaliser.
    pub z_loss: f64,
    /// Exponent of the focal factor.
    pub focal_gamma: f64,
    /// Added to the logits of the loss, `[V]`: `tau log prior`.
    pub logit_offset: Option<&'a Tensor>,
    /// Leaves classes without probability to speak of out of the gradients; the loss stays exact.
    /// Not with label smoothing.
    pub filter: Option<&'a GradientFilter>,
}

impl Terms<'_> {
    /// Whether the loss is the negative log-probability of the targets and no surrogate.
    pub fn is_exact(&self) -> bool {
        self.z_loss == 0.0 && self.focal_gamma == 0.0 && self.logit_offset.is_none()
    }
}

impl Batch<'_> {
    /// The training loss of a batch by the fused sweep, with all shared options. It is exact where
    /// no term of `terms` is.
    ///
    /// For the reductions `mean` and `sum` the gradients come from the same sweep as the loss; for
    /// `none` the backward pass sweeps again, since only then the factor of each row is known. The
    /// products are of the precision that the layer was built for.
    ///
    /// # Errors
    /// Shapes that do not fit; numbers out of range.
    pub fn fused(&self, linear: Linear<'_>, terms: Terms<'_>, scratch: &Scratch) -> Result<TrainingLoss> {
        linear.check("fused loss")?;
        let output = LinearCrossEntropy::apply(
            linear,
            &self.targets,
            self.loss.options.label_smoothing,
            self.loss.class_weights.as_ref(),
            terms,
            self.factor()?,
            &scratch.at(self.precision()),
        )?;
        let loss = self.loss_from_node(&output)?;
        Ok(if terms.is_exact() { TrainingLoss::exact(loss) } else { TrainingLoss::surrogate(loss) })
    }
}

/// Log-probability of one target a row, `[N]`, by one sweep; differentiable.
pub(crate) fn log_prob(linear: Linear<'_>, targets: &Tensor, scratch: &Scratch) -> Result<crate::LogProb> {
    let (terms, factor) = (Terms::default(), Factor::OfEachRow);
    let losses = LinearCrossEntropy::apply(linear, targets, 0.0, None, terms, factor, scratch)?;
    Ok(crate::LogProb::from_normalised(losses.f_neg()?))
}

pub(crate) use queries::{sample, top_k};
