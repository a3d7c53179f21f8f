//! The chunked path on any device: linear layer, softmax and loss by ATen operations, a chunk of
//! rows at a time, as one node of libtorch's graph. Logits `[N, V]` never exist at once.
//!
//! A chunk's logits are made by one product into a buffer, `[R, V]`, that all chunks share; they
//! become exponentials and then their own gradient in place, and from that two products make the
//! gradient of the chunk's hidden states and add to that of the weight. [`ChunkMemory`] says how
//! many rows a chunk has.
//!
//! With the reductions `mean` and `sum` the gradients are made with the loss; with `none` the node
//! saves its inputs, and the backward pass computes again. In f16 it does so with every reduction:
//! a training loop scales such a loss, and gradients that were made before the scale is known would
//! be below the smallest number of f16. Half precision is added up in f32.

mod cross_entropy;
mod gradients;
mod layer;
mod memory;
mod row_loss;
mod softmax;
mod sweep;

use tch::{Kind, Tensor};

pub use layer::{LinearChunks, row_bytes};
pub use memory::{ChunkMemory, Chunks};
pub use row_loss::{RowLoss, Swept, sweep};
pub use softmax::{ClassWeights, GradientFactors, RowSums, exponentials, gradient, weighted_sum};
pub use sweep::ChunkedSweep;

use crate::dense::wide;
use crate::fused::{Factor, Terms};
use crate::node::Node;
use crate::{Batch, Linear, LogProb, Result, TrainingLoss};
use cross_entropy::LinearCrossEntropy;
use sweep::InNode;

impl Batch<'_> {
    /// The training loss of a batch in chunks of rows, with all shared options. It is exact where
    /// no term of `terms` is. A filter of the gradients is of the fused path alone.
    ///
    /// # Errors
    /// Shapes that do not fit; libtorch refused.
    pub fn chunked(&self, linear: Linear<'_>, terms: Terms<'_>, memory: ChunkMemory) -> Result<TrainingLoss> {
        linear.check("chunked loss")?;
        let loss = RowLoss {
            label_smoothing: self.label_smoothing(),
            smoothed_classes: self.vocab_size(),
            class_weights: self.class_weights().map(wide).transpose()?,
            row_weights: self.row_weights()?.as_ref().map(wide).transpose()?,
            z_loss: terms.z_loss,
            focal_gamma: terms.focal_gamma,
        };
        let sweep = LinearCrossEntropy {
            logit_offset: terms.logit_offset.map(Tensor::shallow_clone),
            ..LinearCrossEntropy::new(linear, &self.targets, loss, memory)
        };
        let inputs = [Some(linear.hidden), Some(linear.weight), linear.bias];
        let loss = self.chunked_loss(sweep, &inputs)?;
        Ok(if terms.is_exact() { TrainingLoss::exact(loss) } else { TrainingLoss::surrogate(loss) })
    }

    /// The loss of a batch from a sweep that gives the rows' losses, class weights and smoothing
    /// included. Its gradients are dense.
    ///
    /// # Errors
    /// The sweep's.
    pub fn chunked_loss<S: ChunkedSweep>(&self, sweep: S, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        let factor = match self.hidden.kind() {
            Kind::Half => Factor::OfEachRow,
            _ => self.factor()?,
        };
        let each_row = factor == Factor::OfEachRow;
        let output = Node::of_tensors(InNode(sweep), factor).apply(inputs)?;
        if each_row { self.reduce(&output) } else { self.loss_from_node(&output) }
    }
}

/// Values of a sweep, `[M]`, differentiable: the backward pass sweeps again.
///
/// # Errors
/// The sweep's.
pub fn values<S: ChunkedSweep>(sweep: S, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
    Node::of_tensors(InNode(sweep), Factor::OfEachRow).apply(inputs)
}

/// Log-probability of one target a row, `[N]`, chunk by chunk; differentiable.
pub(crate) fn log_prob(linear: Linear<'_>, targets: &Tensor, memory: ChunkMemory) -> Result<LogProb> {
    let sweep = LinearCrossEntropy::new(linear, targets, RowLoss::default(), memory);
    let losses = values(sweep, &[Some(linear.hidden), Some(linear.weight), linear.bias])?;
    Ok(LogProb::from_normalised(losses.f_neg()?))
}
