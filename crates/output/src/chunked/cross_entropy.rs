//! The chunked linear cross-entropy with all options of the loss, as the sweep of a node.

use lexmax_kernels::LogitTransform;
use tch::Tensor;

use super::row_loss::{RowLoss, Swept, sweep};
use super::{ChunkMemory, ChunkedSweep};
use crate::fused::{Gradients, Inputs};
use crate::{Linear, Result};

/// Loss of each row, `[M]`, from hidden states, weight and bias.
#[derive(Debug)]
pub(super) struct LinearCrossEntropy {
    pub targets: Tensor,
    pub loss: RowLoss,
    pub logit_offset: Option<Tensor>,
    pub temperature: f64,
    pub transform: LogitTransform,
    pub memory: ChunkMemory,
}

impl LinearCrossEntropy {
    /// The sweep of a linear layer's logits, whose tensors are those of the node.
    pub fn new(linear: Linear<'_>, targets: &Tensor, loss: RowLoss, memory: ChunkMemory) -> Self {
        Self {
            targets: targets.shallow_clone(),
            loss,
            logit_offset: None,
            temperature: linear.temperature,
            transform: linear.transform,
            memory,
        }
    }
}

impl ChunkedSweep for LinearCrossEntropy {
    const NAME: &'static str = "chunked linear cross-entropy";

    fn rows(&self) -> i64 {
        self.targets.size().first().copied().unwrap_or(0)
    }

    fn sweep(
        &self,
        inputs: &Inputs,
        upstream: Option<&Tensor>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        let linear = Linear {
            temperature: self.temperature,
            transform: self.transform,
            ..Linear::new(inputs.tensor(0)?, inputs.tensor(1)?, inputs.get(2))
        };
        let wanted = [0, 1, 2].map(|index| wanted.get(index) == Some(&true));
        let offset = self.logit_offset.as_ref();
        let Swept { losses, gradients } =
            sweep(linear, offset, &self.targets, &self.loss, upstream, wanted, self.memory)?;
        Ok((losses, gradients))
    }

    fn watched(&self) -> Vec<&Tensor> {
        let RowLoss { class_weights, row_weights, .. } = &self.loss;
        let own =
            [Some(&self.targets), class_weights.as_ref(), row_weights.as_ref(), self.logit_offset.as_ref()];
        own.into_iter().flatten().collect()
    }
}
