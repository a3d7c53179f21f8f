//! The fused linear cross-entropy with all options of the loss, as the sweep of a node.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::LogitTransform;
use lexmax_kernels::linear_ce::{Options, RowLosses, Upstream};
use tch::Tensor;

use super::Terms;
use super::filter::{Filtered, GradientFilter};
use super::inputs::{Gradients, Inputs};
use super::kernel::{Sweep, in_kind};
use super::sweep::LinearSweep;
use super::workspaces::{FusedKind, Scratch};
use crate::node::{Factor, Node};
use crate::{Linear, Result};

/// Loss of each row, `[N]`, from hidden states, weight and bias.
#[derive(Debug)]
pub(super) struct LinearCrossEntropy {
    targets: Tensor,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
    logit_offset: Option<Tensor>,
    z_loss: f64,
    focal_gamma: f64,
    temperature: f64,
    transform: LogitTransform,
    filter: Option<GradientFilter>,
    scratch: Scratch,
    /// Normalisers and target log-probabilities of a sweep without gradients, for the one with
    /// gradients.
    rows: RowLosses,
}

impl LinearCrossEntropy {
    /// Runs the forward pass of the node.
    pub fn apply(
        linear: Linear<'_>,
        targets: &Tensor,
        label_smoothing: f64,
        class_weights: Option<&Tensor>,
        terms: Terms<'_>,
        factor: Factor,
        scratch: &Scratch,
    ) -> Result<Tensor> {
        let sweep = Self {
            targets: targets.shallow_clone(),
            label_smoothing,
            class_weights: class_weights.map(Tensor::shallow_clone),
            logit_offset: terms.logit_offset.map(Tensor::shallow_clone),
            z_loss: terms.z_loss,
            focal_gamma: terms.focal_gamma,
            temperature: linear.temperature,
            transform: linear.transform,
            filter: terms.filter.cloned(),
            scratch: scratch.clone(),
            rows: RowLosses::default(),
        };
        Node::new(sweep, factor).apply(&[Some(linear.hidden), Some(linear.weight), linear.bias])
    }

    /// Reports to the layer the probability that its gradients leave out.
    fn remember(&self, filtered: Option<Filtered>) {
        if let Some(filter) = &self.filter {
            filter.remember(filtered);
        }
    }

    fn options<T: FusedKind>(&self) -> Result<Options<'_, T>> {
        Ok(Options {
            ignore_index: None,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.as_ref().map(slice).transpose()?,
            z_loss: self.z_loss,
            focal_gamma: self.focal_gamma,
            temperature: self.temperature,
            transform: self.transform,
            logit_offset: self.logit_offset.as_ref().map(slice).transpose()?,
            filter: self.filter.as_ref().map(|filter| filter.rule),
            ..Options::default()
        })
    }
}

impl Sweep for LinearCrossEntropy {
    const NAME: &'static str = "fused linear cross-entropy";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let targets = self.targets.f_contiguous()?;
        let sweep = LinearSweep { inputs, scratch: &self.scratch };
        let mut rows = sweep.loss::<T>(slice(&targets)?, &self.options()?)?;
        let losses = std::mem::take(&mut rows.loss);
        self.rows = rows;
        Ok(losses)
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let (targets, mut factors) = (self.targets.f_contiguous()?, Vec::new());
        let upstream = in_kind::<T>(upstream, &mut factors);
        let sweep = LinearSweep { inputs, scratch: &self.scratch };
        let (rows, made) = sweep.loss_and_gradients(slice(&targets)?, &self.options()?, upstream, wanted)?;
        self.remember(rows.filtered);
        Ok((rows.loss, made))
    }

    fn gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<Gradients> {
        let (targets, mut factors) = (self.targets.f_contiguous()?, Vec::new());
        let (options, upstream) = (self.options()?, in_kind::<T>(upstream, &mut factors));
        let sweep = LinearSweep { inputs, scratch: &self.scratch };
        let (filtered, made) = sweep.gradients(slice(&targets)?, &options, &self.rows, upstream, wanted)?;
        self.remember(filtered);
        Ok(made)
    }

    fn watched(&self) -> Vec<&Tensor> {
        let own = [Some(&self.targets), self.class_weights.as_ref(), self.logit_offset.as_ref()];
        own.into_iter().flatten().collect()
    }
}
