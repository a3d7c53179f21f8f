//! Label smoothing over the words of two levels.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::two_level::{self, every_word};
use lexmax_output::Result;
use lexmax_output::fused::{ByKind, FusedKind, Gradients, Inputs, Sweep, in_kind};
use tch::Tensor;

use super::classes::Classes;
use super::fused::{ClassWorkspaces, empty, into, layer};

/// `sum_w c_w log p(w)` over all words `w`.
#[derive(Debug)]
pub(super) struct EveryWord {
    starts: Vec<i64>,
    /// `c`, `[V]`.
    weights: Option<Tensor>,
    workspaces: ByKind<ClassWorkspaces>,
}

impl EveryWord {
    pub fn new(classes: &Classes, weights: Option<&Tensor>, workspaces: &ByKind<ClassWorkspaces>) -> Self {
        let (starts, weights) = (classes.starts().to_vec(), weights.map(Tensor::shallow_clone));
        Self { starts, weights, workspaces: workspaces.clone() }
    }

    fn run<T: FusedKind>(
        &self,
        inputs: &Inputs,
        upstream: Option<Upstream<'_, T>>,
        gradients: two_level::Gradients<'_, T>,
    ) -> Result<Vec<f64>> {
        let (layer, starts) = (layer(inputs)?, &self.starts);
        let weights = self.weights.as_ref().map(slice).transpose()?;
        Ok(self
            .workspaces
            .with(|workspace| every_word(layer, starts, weights, upstream, gradients, workspace))?)
    }
}

impl Sweep for EveryWord {
    const NAME: &'static str = "fused smoothing over two levels";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        self.run::<T>(inputs, None, two_level::Gradients::default())
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let (mut made, mut factors) = (empty(inputs, wanted, None)?, Vec::new());
        let upstream = in_kind::<T>(upstream, &mut factors);
        Ok((self.run(inputs, Some(upstream), into(&mut made)?)?, made))
    }

    fn watched(&self) -> Vec<&Tensor> {
        self.weights.iter().collect()
    }
}
