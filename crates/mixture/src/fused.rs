//! The fused loss of a mixture as a node of libtorch's graph.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_kernels::linear_ce::mixture::{Mixture, MixtureGradients, loss_and_gradients};
use lexmax_kernels::linear_ce::{Linear, Options, Upstream};
use lexmax_output::fused::{FusedKind, Scratch, scale_made};
use lexmax_output::{Batch, OutputError, Result, TrainingLoss};
use tch::{Kind, Tensor};

/// Inputs of the node, in this order; the bias may be undefined.
const LATENT: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;
const LOG_PRIOR: usize = 3;

/// Latent states `[M K, d]`, class weight `[V, d]`, class bias `[V]` and log weights of the components `[M, K]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub latent: &'a Tensor,
    pub weight: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    pub log_prior: &'a Tensor,
}

/// The training loss of a batch, `factor sum_i w_i (-log p(y_i))`, with the gradients of all inputs from the same sweeps.
pub(crate) fn loss(
    batch: &Batch<'_>,
    inputs: Inputs<'_>,
    factor: f64,
    scratch: &Scratch,
) -> Result<TrainingLoss> {
    let function = MixtureLoss {
        targets: batch.targets.f_contiguous()?,
        class_weights: batch.class_weights().map(Tensor::shallow_clone),
        factor,
        scratch: scratch.clone(),
        made: Vec::new(),
    };
    let Inputs { latent, weight, bias, log_prior } = inputs;
    let mut outputs =
        apply(function, &[Some(latent), Some(weight), bias, Some(log_prior)]).map_err(OutputError::fused)?;
    Ok(TrainingLoss::exact(outputs.remove(0)))
}

struct MixtureLoss {
    targets: Tensor,
    class_weights: Option<Tensor>,
    factor: f64,
    scratch: Scratch,
    /// Of which inputs gradients were made, in the order in which they are saved.
    made: Vec<usize>,
}

impl MixtureLoss {
    fn forward_in<T: FusedKind>(
        &mut self,
        context: &mut ForwardContext<'_>,
    ) -> lexmax_autograd::Result<Tensor> {
        let [latent, weight, log_prior] = [LATENT, WEIGHT, LOG_PRIOR].map(|index| context.input(index));
        let (latent, weight) = (latent?.f_contiguous()?, weight?.f_contiguous()?);
        let log_prior = log_prior?.f_contiguous()?;
        let bias = context.optional_input(BIAS).map(Tensor::f_contiguous).transpose()?;

        let mut gradients = Vec::new();
        for (index, input) in
            [Some(&latent), Some(&weight), bias.as_ref(), Some(&log_prior)].into_iter().enumerate()
        {
            if let Some(input) = input.filter(|_| context.needs_input_grad(index)) {
                // Empty is enough: the kernel overwrites all of it.
                gradients.push((index, Tensor::f_empty(input.size(), (input.kind(), input.device()))?));
            }
        }
        let mut wanted = MixtureGradients::default();
        for (index, gradient) in &mut gradients {
            let into = Some(slice_mut::<T>(gradient)?);
            match *index {
                LATENT => wanted.linear.hidden = into,
                WEIGHT => wanted.linear.weight = into,
                BIAS => wanted.linear.bias = into,
                _ => wanted.log_prior = into,
            }
        }
        let linear = Linear {
            hidden: slice(&latent)?,
            weight: slice(&weight)?,
            bias: bias.as_ref().map(slice).transpose()?,
            hidden_size: usize::try_from(weight.size()[1])?,
        };
        let components = usize::try_from(log_prior.size()[1])?;
        let mixture = Mixture { linear, log_prior: slice(&log_prior)?, components };
        let options = Options {
            class_weights: self.class_weights.as_ref().map(slice).transpose()?,
            ..Options::default()
        };
        let (targets, upstream) = (slice(&self.targets)?, Upstream::Same(self.factor));
        let losses = self
            .scratch
            .with(|workspace| loss_and_gradients(mixture, targets, &options, upstream, wanted, workspace))?;
        for (index, gradient) in gradients {
            context.save(&gradient);
            self.made.push(index);
        }
        let value = losses.iter().sum::<f64>() * self.factor;
        Ok(Tensor::f_full([0_i64; 0], value, (T::KIND, latent.device()))?)
    }
}

impl Function for MixtureLoss {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        let output = match context.input(LATENT)?.kind() {
            Kind::Double => self.forward_in::<f64>(context)?,
            _ => self.forward_in::<f32>(context)?,
        };
        Ok(vec![output])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        scale_made(context, &self.made)
    }

    fn name() -> &'static str {
        "fused mixture of softmaxes"
    }
}
