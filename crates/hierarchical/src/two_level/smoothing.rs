//! Label smoothing over the words of two levels.

use lexmax_autograd::Result as NodeResult;
use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::two_level::{Gradients, every_word};
use tch::Tensor;

use super::classes::Classes;
use super::fused::{into, layer, room};
use crate::fused::{Gradient, Inputs, Sweep, TreeKind, Workspaces};

/// `sum_w c_w log p(w)` over all words `w`.
pub(super) struct EveryWord {
    starts: Vec<i64>,
    /// `c`, `[V]`.
    weights: Option<Tensor>,
}

impl EveryWord {
    pub fn new(classes: &Classes, weights: Option<&Tensor>) -> Self {
        Self { starts: classes.starts().to_vec(), weights: weights.map(Tensor::shallow_clone) }
    }

    fn run<T: TreeKind>(
        &self,
        inputs: &Inputs,
        upstream: Option<Upstream<'_, T>>,
        gradients: Gradients<'_, T>,
        workspaces: &Workspaces<T>,
    ) -> NodeResult<Vec<f64>> {
        let layer = layer(inputs)?;
        let weights = self.weights.as_ref().map(slice).transpose()?;
        workspaces.with_two_level(|workspace| {
            Ok(every_word(layer, &self.starts, weights, upstream, gradients, workspace)?)
        })
    }
}

impl Sweep for EveryWord {
    const NAME: &'static str = "fused smoothing over two levels";

    fn log_prob<T: TreeKind>(&self, inputs: &Inputs, workspaces: &Workspaces<T>) -> NodeResult<Vec<f64>> {
        self.run(inputs, None, Gradients::default(), workspaces)
    }

    fn gradients<T: TreeKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
        workspaces: &Workspaces<T>,
    ) -> NodeResult<(Vec<f64>, Vec<Option<Gradient>>)> {
        let mut made = room(inputs, wanted, None)?;
        let sums = self.run(inputs, Some(upstream), into(&mut made)?, workspaces)?;
        Ok((sums, made))
    }
}
