//! The fused path of a mixture: its loss as a node of libtorch's graph, and its likeliest classes.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_kernels::linear_ce::mixture::{Mixture, MixtureGradients, loss_and_gradients};
use lexmax_kernels::linear_ce::{Gradients, Linear, Options, Upstream};
use lexmax_kernels::query::mixture_top_k;
use lexmax_output::fused::{Factor, FusedKind, Scratch, scale_made};
use lexmax_output::{Batch, OutputError, Result, TopK, TrainingLoss};
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

/// The training loss of a batch. For the reductions `mean` and `sum` all gradients come from the sweeps that make the loss; for `none`
/// the backward pass sweeps again, since only then the factor of each row is known.
pub(crate) fn loss(batch: &Batch<'_>, inputs: Inputs<'_>, scratch: &Scratch) -> Result<TrainingLoss> {
    let function = MixtureLoss {
        targets: batch.targets.f_contiguous()?,
        label_smoothing: batch.label_smoothing(),
        class_weights: batch.class_weights().map(Tensor::shallow_clone),
        factor: batch.factor()?,
        scratch: scratch.clone(),
        made: Vec::new(),
    };
    let Inputs { latent, weight, bias, log_prior } = inputs;
    let mut outputs =
        apply(function, &[Some(latent), Some(weight), bias, Some(log_prior)]).map_err(OutputError::fused)?;
    batch.exact_from_node(&outputs.remove(0))
}

/// The `k` likeliest classes of each row as far as bounds show them, and the rows where they do not, `[R]`.
pub(crate) fn top_k(inputs: Inputs<'_>, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
    match inputs.latent.kind() {
        Kind::Double => top_k_in::<f64>(inputs, k, scratch),
        _ => top_k_in::<f32>(inputs, k, scratch),
    }
}

fn top_k_in<T: FusedKind>(inputs: Inputs<'_>, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
    let contiguous = |tensor: &Tensor| tensor.f_detach()?.f_contiguous();
    let (latent, weight) = (contiguous(inputs.latent)?, contiguous(inputs.weight)?);
    let (bias, log_prior) = (inputs.bias.map(contiguous).transpose()?, contiguous(inputs.log_prior)?);
    let linear = Linear {
        hidden: slice(&latent)?,
        weight: slice(&weight)?,
        bias: bias.as_ref().map(slice).transpose()?,
        hidden_size: usize::try_from(weight.size()[1]).unwrap_or(0),
    };
    let size = log_prior.size();
    let components = usize::try_from(size[1]).unwrap_or(0);
    let mixture = Mixture { linear, log_prior: slice::<T>(&log_prior)?, components };
    let wanted = usize::try_from(k).unwrap_or(0);
    let best =
        scratch.with(|workspace| mixture_top_k(mixture, wanted, workspace)).map_err(OutputError::fused)?;
    let open: Vec<i64> =
        (0..).zip(&best.certain).filter(|(_, certain)| !**certain).map(|(row, _)| row).collect();
    let top = TopK {
        log_probs: Tensor::f_from_slice(&best.log_probs)?.f_to_kind(T::KIND)?.f_view([size[0], k])?,
        ids: Tensor::f_from_slice(&best.ids)?.f_view([size[0], k])?,
    };
    Ok((top, Tensor::f_from_slice(&open)?))
}

struct MixtureLoss {
    targets: Tensor,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
    factor: Factor,
    scratch: Scratch,
    /// Of which inputs gradients were made, in the order in which they are saved; where the factor of each row is not known, which
    /// inputs are saved.
    made: Vec<usize>,
}

/// The inputs, contiguous, by their index.
type Given = [Option<Tensor>; 4];

impl MixtureLoss {
    /// Losses of the rows, and the gradients of the wanted inputs.
    fn sweep<T: FusedKind>(
        &self,
        given: &Given,
        upstream: Upstream<'_, T>,
        wanted: [bool; 4],
    ) -> lexmax_autograd::Result<(Vec<f64>, Given)> {
        let [Some(latent), Some(weight), bias, Some(log_prior)] = given else {
            return Err("latent states, weight and log weights of the components must be given".into());
        };
        let mut gradients = Given::default();
        for ((gradient, input), wanted) in gradients.iter_mut().zip(given).zip(wanted) {
            if let Some(input) = input.as_ref().filter(|_| wanted) {
                // Empty is enough: the kernel overwrites all of it.
                *gradient = Some(Tensor::f_empty(input.size(), (input.kind(), input.device()))?);
            }
        }
        let [d_latent, d_weight, d_bias, d_log_prior] = &mut gradients;
        let into = MixtureGradients {
            linear: Gradients {
                hidden: d_latent.as_mut().map(slice_mut).transpose()?,
                weight: d_weight.as_mut().map(slice_mut).transpose()?,
                bias: d_bias.as_mut().map(slice_mut).transpose()?,
                accumulate: false,
            },
            log_prior: d_log_prior.as_mut().map(slice_mut).transpose()?,
        };
        let linear = Linear {
            hidden: slice(latent)?,
            weight: slice(weight)?,
            bias: bias.as_ref().map(slice).transpose()?,
            hidden_size: usize::try_from(weight.size()[1])?,
        };
        let components = usize::try_from(log_prior.size()[1])?;
        let mixture = Mixture { linear, log_prior: slice(log_prior)?, components };
        let options = Options {
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.as_ref().map(slice).transpose()?,
            ..Options::default()
        };
        let targets = slice(&self.targets)?;
        let losses = self
            .scratch
            .with(|workspace| loss_and_gradients(mixture, targets, &options, upstream, into, workspace))?;
        Ok((losses, gradients))
    }

    fn forward_in<T: FusedKind>(
        &mut self,
        context: &mut ForwardContext<'_>,
    ) -> lexmax_autograd::Result<Tensor> {
        let mut given = Given::default();
        for (index, given) in given.iter_mut().enumerate() {
            *given = context.optional_input(index).map(Tensor::f_contiguous).transpose()?;
        }
        let (factor, wanted) = match self.factor {
            Factor::Known(factor) => {
                (factor, [LATENT, WEIGHT, BIAS, LOG_PRIOR].map(|index| context.needs_input_grad(index)))
            }
            Factor::OfEachRow => (1.0, [false; 4]),
        };
        let (losses, gradients) = self.sweep::<T>(&given, Upstream::Same(factor), wanted)?;
        let saved = if self.factor == Factor::OfEachRow { &given } else { &gradients };
        for (index, saved) in saved.iter().enumerate() {
            if let Some(saved) = saved {
                context.save(saved);
                self.made.push(index);
            }
        }
        if self.factor == Factor::OfEachRow {
            return Ok(Tensor::f_from_slice(&losses)?.f_to_kind(T::KIND)?);
        }
        let value = losses.iter().sum::<f64>() * factor;
        Ok(Tensor::f_full([0_i64; 0], value, (T::KIND, context.input(LATENT)?.device()))?)
    }

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again<T: FusedKind>(
        &self,
        context: &BackwardContext<'_>,
    ) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let mut given = Given::default();
        for (at, index) in self.made.iter().enumerate() {
            given[*index] = Some(context.saved(at)?);
        }
        let wanted = [LATENT, WEIGHT, BIAS, LOG_PRIOR].map(|index| context.needs_input_grad(index));
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        Ok(self.sweep::<T>(&given, Upstream::Rows(slice(&upstream)?), wanted)?.1.into())
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
        match (self.factor, context.grad_output(0)?.kind()) {
            (Factor::Known(_), _) => scale_made(context, &self.made),
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context),
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context),
        }
    }

    fn name() -> &'static str {
        "fused mixture of softmaxes"
    }
}
