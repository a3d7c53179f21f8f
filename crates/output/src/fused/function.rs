//! The fused loss as a node of libtorch's graph.

use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_kernels::linear_ce::{self, Gradients, Options, RowLosses, Upstream};
use tch::{Kind, Tensor};

use super::Terms;
use super::filter::{Filtered, GradientFilter};
use super::scratch::{FusedKind, Scratch};
use crate::{Linear, OutputError, Result};
use lexmax_autograd::cpu::{slice, slice_mut};

/// Inputs of the node, in this order; the bias may be undefined.
const HIDDEN: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;

/// Factor of a row's loss in the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Factor {
    /// The output is the sum of the losses times this.
    Known(f64),
    /// The output is one loss a row; the factors are the upstream gradient.
    OfEachRow,
}

/// One call of the fused linear cross-entropy.
pub(super) struct LinearCrossEntropy {
    targets: Tensor,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
    logit_offset: Option<Tensor>,
    z_loss: f64,
    focal_gamma: f64,
    temperature: f64,
    soft_cap: Option<f64>,
    filter: Option<GradientFilter>,
    factor: Factor,
    scratch: Scratch,
    /// What the forward sweep found, for the backward one where it has to sweep again.
    rows: RowLosses,
}

impl LinearCrossEntropy {
    pub(super) fn new(
        linear: Linear<'_>,
        targets: &Tensor,
        label_smoothing: f64,
        class_weights: Option<&Tensor>,
        terms: Terms<'_>,
        factor: Factor,
        scratch: &Scratch,
    ) -> Self {
        Self {
            targets: targets.shallow_clone(),
            label_smoothing,
            class_weights: class_weights.map(Tensor::shallow_clone),
            logit_offset: terms.logit_offset.map(Tensor::shallow_clone),
            z_loss: terms.z_loss,
            focal_gamma: terms.focal_gamma,
            temperature: linear.temperature,
            soft_cap: linear.soft_cap,
            filter: terms.filter.cloned(),
            factor,
            scratch: scratch.clone(),
            rows: RowLosses::default(),
        }
    }

    pub(super) fn apply(self, linear: Linear<'_>) -> Result<Tensor> {
        let inputs = [Some(linear.hidden), Some(linear.weight), linear.bias];
        let mut outputs = apply(self, &inputs).map_err(|error| OutputError::Fused(Box::new(error)))?;
        Ok(outputs.remove(0))
    }

    /// Tells the layer what its gradients leave out.
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
            soft_cap: self.soft_cap,
            temperature: self.temperature,
            logit_offset: self.logit_offset.as_ref().map(slice).transpose()?,
            filter: self.filter.as_ref().map(|filter| filter.rule),
        })
    }

    fn forward_in<T: FusedKind>(
        &mut self,
        context: &mut ForwardContext<'_>,
    ) -> lexmax_autograd::Result<Tensor> {
        let inputs = Inputs::of(|index| context.optional_input(index).map(Tensor::shallow_clone))?;
        let targets = self.targets.f_contiguous()?;
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let out = (T::KIND, inputs.hidden.device());
        let mut made = None;
        let rows = match self.factor {
            Factor::Known(factor) if wanted.contains(&true) => {
                let mut gradients = Made::new(&inputs, wanted)?;
                let rows = self.scratch.with(|workspace| {
                    let upstream = Upstream::Same(factor);
                    let (linear, targets) = (inputs.linear::<T>()?, slice(&targets)?);
                    let into = gradients.slices()?;
                    Ok::<_, lexmax_autograd::BoxError>(linear_ce::loss_and_gradients(
                        linear,
                        targets,
                        &self.options()?,
                        upstream,
                        into,
                        workspace,
                    )?)
                })?;
                made = Some(gradients);
                self.remember(rows.filtered);
                rows
            }
            _ => self.scratch.with(|workspace| {
                let (linear, targets) = (inputs.linear::<T>()?, slice(&targets)?);
                Ok::<_, lexmax_autograd::BoxError>(linear_ce::loss(
                    linear,
                    targets,
                    &self.options()?,
                    workspace,
                )?)
            })?,
        };
        if let Some(made) = made {
            for (_, gradient) in made.0 {
                context.save(&gradient);
            }
        } else if self.factor == Factor::OfEachRow {
            for tensor in
                [Some(&inputs.hidden), Some(&inputs.weight), inputs.bias.as_ref()].into_iter().flatten()
            {
                context.save(tensor);
            }
        }
        let output = match self.factor {
            Factor::Known(factor) => Tensor::f_full([0_i64; 0], rows.loss.iter().sum::<f64>() * factor, out)?,
            Factor::OfEachRow => Tensor::f_from_slice(&rows.loss)?.f_to_kind(T::KIND)?,
        };
        self.rows = rows;
        Ok(output)
    }

    /// Gradients that the forward sweep made, times the upstream gradient of the one output.
    fn scale_made(&self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let upstream = context.grad_output(0)?.f_double_value(&[])?;
        let mut gradients = vec![None, None, None];
        let mut next = 0;
        for (index, gradient) in gradients.iter_mut().enumerate() {
            // The forward pass saved one for each input that needed it then, in order.
            if !context.needs_input_grad(index) || next >= context.n_saved() {
                continue;
            }
            let mut made = context.take_saved(next)?;
            next += 1;
            *gradient = Some(match upstream {
                1.0 => made,
                _ if context.keep_graph() => made.f_mul_scalar(upstream)?,
                _ => made.f_mul_scalar_(upstream)?,
            });
        }
        Ok(gradients)
    }

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again<T: FusedKind>(
        &self,
        context: &BackwardContext<'_>,
    ) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let inputs = Inputs::of(|index| context.saved(index).ok())?;
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let targets = self.targets.f_contiguous()?;
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        let mut made = Made::new(&inputs, wanted)?;
        self.scratch.with(|workspace| {
            let (linear, targets) = (inputs.linear::<T>()?, slice(&targets)?);
            let upstream = Upstream::Rows(slice(&upstream)?);
            let into = made.slices()?;
            let options = self.options()?;
            let rows = &self.rows;
            let filtered = linear_ce::gradients(linear, targets, &options, rows, upstream, into, workspace)?;
            self.remember(filtered);
            Ok::<_, lexmax_autograd::BoxError>(())
        })?;
        let mut gradients = vec![None, None, None];
        for (index, gradient) in made.0 {
            gradients[index] = Some(gradient);
        }
        Ok(gradients)
    }
}

impl Function for LinearCrossEntropy {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        let output = match context.input(HIDDEN)?.kind() {
            Kind::Double => self.forward_in::<f64>(context)?,
            _ => self.forward_in::<f32>(context)?,
        };
        Ok(vec![output])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        match (self.factor, context.grad_output(0)?.kind()) {
            (Factor::Known(_), _) => self.scale_made(context),
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context),
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context),
        }
    }

    fn name() -> &'static str {
        "fused linear cross-entropy"
    }
}

/// The inputs, contiguous.
struct Inputs {
    hidden: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Inputs {
    fn of(get: impl Fn(usize) -> Option<Tensor>) -> lexmax_autograd::Result<Self> {
        let there = |index| get(index).ok_or("hidden states and weight must be given");
        let bias = get(BIAS).map(|bias| bias.f_contiguous()).transpose()?;
        Ok(Self { hidden: there(HIDDEN)?.f_contiguous()?, weight: there(WEIGHT)?.f_contiguous()?, bias })
    }

    fn linear<T: FusedKind>(&self) -> Result<linear_ce::Linear<'_, T>> {
        Ok(linear_ce::Linear {
            hidden: slice(&self.hidden)?,
            weight: slice(&self.weight)?,
            bias: self.bias.as_ref().map(slice).transpose()?,
            hidden_size: usize::try_from(self.weight.size()[1]).unwrap_or(0),
        })
    }
}

/// Fresh gradients of the wanted inputs, with the index of each.
struct Made(Vec<(usize, Tensor)>);

impl Made {
    fn new(inputs: &Inputs, wanted: [bool; 3]) -> lexmax_autograd::Result<Self> {
        let tensors = [Some(&inputs.hidden), Some(&inputs.weight), inputs.bias.as_ref()];
        let mut made = Vec::new();
        for (index, tensor) in tensors.into_iter().enumerate() {
            if let Some(tensor) = tensor.filter(|_| wanted[index]) {
                // Empty is enough: the kernels overwrite all of it.
                made.push((index, Tensor::f_empty(tensor.size(), (tensor.kind(), tensor.device()))?));
            }
        }
        Ok(Self(made))
    }

    fn slices<T: FusedKind>(&mut self) -> Result<Gradients<'_, T>> {
        let mut gradients = Gradients::default();
        for (index, tensor) in &mut self.0 {
            let into = Some(slice_mut(tensor)?);
            match *index {
                HIDDEN => gradients.hidden = into,
                WEIGHT => gradients.weight = into,
                _ => gradients.bias = into,
            }
        }
        Ok(gradients)
    }
}
