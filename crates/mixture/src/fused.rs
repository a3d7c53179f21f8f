//! The fused path of a mixture: its loss as a node of libtorch's graph, and its most probable
//! classes.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::mixture::{Mixture, MixtureGradients, loss_and_gradients};
use lexmax_kernels::linear_ce::{Options, Upstream};
use lexmax_kernels::query::mixture_top_k;
use lexmax_output::fused::{
    FusedKind, Gradient, Gradients, Inputs, Node, Scratch, Sweep, in_kind, linear_gradients,
};
use lexmax_output::{Batch, Result, TopK, TrainingLoss};
use tch::{Kind, Tensor};

/// Places of the inputs; the bias may be missing.
pub(crate) const LATENT: usize = 0;
pub(crate) const WEIGHT: usize = 1;
pub(crate) const BIAS: usize = 2;
pub(crate) const LOG_PRIOR: usize = 3;

/// Latent states `[M K, d]`, class weight `[V, d]`, class bias `[V]` and log weights of the
/// components `[M, K]`.
pub(crate) type Given<'a> = [Option<&'a Tensor>; 4];

/// The training loss of a batch. For the reductions `mean` and `sum` all gradients come from the
/// sweeps that make the loss; for `none` the backward pass sweeps again, since only then the factor
/// of each row is known.
pub(crate) fn loss(batch: &Batch<'_>, given: Given<'_>, scratch: &Scratch) -> Result<TrainingLoss> {
    let sweep = MixtureSweep {
        targets: batch.targets.shallow_clone(),
        label_smoothing: batch.label_smoothing(),
        class_weights: batch.class_weights().map(Tensor::shallow_clone),
        scratch: scratch.at(batch.precision()),
    };
    let output = Node::new(sweep, batch.factor()?).apply(&given)?;
    Ok(TrainingLoss::exact(batch.loss_from_node(&output)?))
}

/// The `k` most probable classes of each row as far as bounds show them, and the rows where they do
/// not, `[R]`.
pub(crate) fn top_k(given: Given<'_>, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
    let detached = given.map(|tensor| tensor.map(Tensor::f_detach).transpose());
    let detached = detached.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let inputs = Inputs::new(detached.iter().map(Option::as_ref))?;
    match inputs.tensor(LATENT)?.kind() {
        Kind::Double => top_k_in::<f64>(&inputs, k, scratch),
        _ => top_k_in::<f32>(&inputs, k, scratch),
    }
}

fn top_k_in<T: FusedKind>(inputs: &Inputs, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
    let (mixture, wanted) = (mixture::<T>(inputs)?, usize::try_from(k).unwrap_or(0));
    let best = scratch.with(|workspace| mixture_top_k(mixture, wanted, workspace))?;
    let open: Vec<i64> =
        (0..).zip(&best.certain).filter(|(_, certain)| !**certain).map(|(row, _)| row).collect();
    let size = [best.certain.len() as i64, k];
    let top = TopK {
        log_probs: Tensor::f_from_slice(&best.log_probs)?.f_to_kind(T::KIND)?.f_view(size)?,
        ids: Tensor::f_from_slice(&best.ids)?.f_view(size)?,
    };
    Ok((top, Tensor::f_from_slice(&open)?))
}

/// The mixture as the kernels see it.
fn mixture<T: FusedKind>(inputs: &Inputs) -> Result<Mixture<'_, T>> {
    let components = inputs.tensor(LOG_PRIOR)?.size().get(1).copied().unwrap_or(0);
    Ok(Mixture {
        linear: inputs.linear([LATENT, WEIGHT, BIAS])?,
        log_prior: inputs.slice(LOG_PRIOR)?,
        components: usize::try_from(components).unwrap_or(0),
    })
}

/// Loss of each row of a batch.
#[derive(Debug)]
struct MixtureSweep {
    targets: Tensor,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
    scratch: Scratch,
}

impl MixtureSweep {
    fn run<T: FusedKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        gradients: MixtureGradients<'_, T>,
    ) -> Result<Vec<f64>> {
        let options = Options {
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.as_ref().map(slice).transpose()?,
            ..Options::default()
        };
        let (mixture, targets) = (mixture(inputs)?, self.targets.f_contiguous()?);
        let targets = slice(&targets)?;
        Ok(self.scratch.with(|workspace| {
            loss_and_gradients(mixture, targets, &options, upstream, gradients, workspace)
        })?)
    }
}

impl Sweep for MixtureSweep {
    const NAME: &'static str = "fused mixture of softmaxes";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        self.run::<T>(inputs, Upstream::Same(1.0), MixtureGradients::default())
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let made = [LATENT, WEIGHT, BIAS, LOG_PRIOR].map(|index| inputs.gradient(index, wanted, None));
        let mut made = made.into_iter().collect::<Result<Gradients>>()?;
        let (linear, rest) = made.split_at_mut(LOG_PRIOR);
        let into = MixtureGradients {
            linear: linear_gradients(linear)?,
            log_prior: rest.first_mut().map(Gradient::elements).transpose()?.flatten(),
        };
        let mut factors = Vec::new();
        let losses = self.run::<T>(inputs, in_kind(upstream, &mut factors), into)?;
        Ok((losses, made))
    }

    fn watched(&self) -> Vec<&Tensor> {
        [Some(&self.targets), self.class_weights.as_ref()].into_iter().flatten().collect()
    }
}
