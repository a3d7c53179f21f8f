//! The fused loss as a node of libtorch's graph.

use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_kernels::LogitTransform;
use lexmax_kernels::linear_ce::{Options, RowLosses, Upstream};
use tch::{Kind, Tensor};

use super::Terms;
use super::filter::{Filtered, GradientFilter};
use super::made::scale_made;
use super::scratch::{FusedKind, Scratch};
use super::sweep::Swept;
use crate::{Linear, OutputError, Result};
use lexmax_autograd::cpu::slice;

/// Inputs of the node, in this order; the bias may be undefined.
const HIDDEN: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;

/// Factor of a row's loss in the output of a fused node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Factor {
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
    has_bias: bool,
    z_loss: f64,
    focal_gamma: f64,
    temperature: f64,
    transform: LogitTransform,
    filter: Option<GradientFilter>,
    factor: Factor,
    scratch: Scratch,
    /// What the forward sweep found, for the backward one where it has to sweep again.
    rows: RowLosses,
    /// Of which inputs the forward sweep made the gradients, in the order in which they are saved.
    made: Vec<usize>,
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
            has_bias: linear.bias.is_some(),
            z_loss: terms.z_loss,
            focal_gamma: terms.focal_gamma,
            temperature: linear.temperature,
            transform: linear.transform,
            filter: terms.filter.cloned(),
            factor,
            scratch: scratch.clone(),
            rows: RowLosses::default(),
            made: Vec::new(),
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
            temperature: self.temperature,
            transform: self.transform,
            logit_offset: self.logit_offset.as_ref().map(slice).transpose()?,
            filter: self.filter.as_ref().map(|filter| filter.rule),
            ..Options::default()
        })
    }

    fn forward_in<T: FusedKind>(
        &mut self,
        context: &mut ForwardContext<'_>,
    ) -> lexmax_autograd::Result<Tensor> {
        let (hidden, weight) = (context.input(HIDDEN)?, context.input(WEIGHT)?);
        let bias = context.optional_input(BIAS);
        let layer = Swept::new(hidden, weight, bias)?;
        let targets = self.targets.f_contiguous()?;
        let targets = slice(&targets)?;
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let out = (T::KIND, hidden.device());
        let rows = match self.factor {
            Factor::Known(factor) if wanted.contains(&true) => {
                let (options, upstream) = (self.options::<T>()?, Upstream::Same(factor));
                let (rows, made) =
                    layer.loss_and_gradients(targets, &options, upstream, wanted, &self.scratch)?;
                for (index, gradient) in made.into_array().into_iter().enumerate() {
                    if let Some(gradient) = gradient {
                        context.save(&gradient);
                        self.made.push(index);
                    }
                }
                self.remember(rows.filtered);
                rows
            }
            _ => layer.loss::<T>(targets, &self.options()?, &self.scratch)?,
        };
        if self.factor == Factor::OfEachRow {
            for tensor in [Some(hidden), Some(weight), bias].into_iter().flatten() {
                context.save(tensor);
            }
            // What the second sweep reads from fields is saved too, so that libtorch notices a change before it.
            let fields = [Some(&self.targets), self.class_weights.as_ref(), self.logit_offset.as_ref()];
            for tensor in fields.into_iter().flatten() {
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

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again<T: FusedKind>(
        &self,
        context: &BackwardContext<'_>,
    ) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let bias = if self.has_bias { Some(context.saved(BIAS)?) } else { None };
        for field in BIAS + usize::from(self.has_bias)..context.n_saved() {
            let _unchanged = context.saved(field)?;
        }
        let layer = Swept::new(&context.saved(HIDDEN)?, &context.saved(WEIGHT)?, bias.as_ref())?;
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let targets = self.targets.f_contiguous()?;
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        let (options, upstream) = (self.options::<T>()?, Upstream::Rows(slice(&upstream)?));
        let (filtered, made) =
            layer.gradients(slice(&targets)?, &options, &self.rows, upstream, wanted, &self.scratch)?;
        self.remember(filtered);
        Ok(made.into_array().into())
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
            (Factor::Known(_), _) => scale_made(context, &self.made),
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context),
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context),
        }
    }

    fn name() -> &'static str {
        "fused linear cross-entropy"
    }
}
