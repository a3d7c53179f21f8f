//! The chunked path of a mixture: its loss as a node of libtorch's graph, on any device.
//!
//! The `K` rows of a token stay in one chunk. When a chunk's normalisers are known, so are the
//! token's `log p(y) = log sum_k exp(log pi_k + log p_k(y))` and the share of each component in it,
//! `r_k`; the gradient of component `k`'s logits is `r_k` times that of a softmax alone. With label
//! smoothing the shares in every class are needed: `smoothing.rs`.

mod smoothing;

use lexmax_output::chunked::{
    ChunkMemory, ChunkedSweep, ClassWeights, GradientFactors, LinearChunks, exponentials, gradient,
};
use lexmax_output::dense::{wide, wide_kind};
use lexmax_output::fused::{Gradient, Gradients, Inputs};
use lexmax_output::{Batch, Linear, Result, TrainingLoss};
use tch::Tensor;

use crate::fused::{BIAS, Given, LATENT, LOG_PRIOR, WEIGHT};

/// The training loss of a batch, with the gradients of latent states, weight, bias and log weights
/// of the components.
pub(crate) fn loss(batch: &Batch<'_>, given: Given<'_>, memory: ChunkMemory) -> Result<TrainingLoss> {
    let sweep = MixtureSweep {
        targets: batch.targets.shallow_clone(),
        row_weights: batch.row_weights()?.as_ref().map(wide).transpose()?,
        label_smoothing: batch.label_smoothing(),
        class_weights: batch.class_weights().map(wide).transpose()?,
        memory,
    };
    Ok(TrainingLoss::exact(batch.chunked_loss(sweep, &given)?))
}

/// Loss of each row of a batch.
#[derive(Debug)]
struct MixtureSweep {
    targets: Tensor,
    row_weights: Option<Tensor>,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
    memory: ChunkMemory,
}

/// One chunk of tokens: raw logits `[R K, V]`, and what belongs to each token.
struct Chunk<'a> {
    logits: Tensor,
    /// Targets, `[R]`.
    targets: Tensor,
    /// Log weights of the components, `[R, K]`.
    log_prior: Tensor,
    /// Weight of the target's part of the loss, `(1 - e) w_y`, `[R]`; one each where not given.
    kept: Option<Tensor>,
    /// Factor of each token's loss, `[R]`; `None` where no gradient is wanted.
    upstream: Option<Tensor>,
    /// Smoothing of each class, `e / V`, and the class weights.
    spread: f64,
    class_weights: ClassWeights<'a>,
}

/// Results of a chunk: the tokens' losses `[R]`, and with factors the gradients of the logits, in
/// their memory, and of the log weights of the components, `[R, K]`.
struct ChunkResult {
    losses: Tensor,
    d_log_prior: Option<Tensor>,
}

impl MixtureSweep {
    fn chunk(
        &self,
        logits: Tensor,
        log_prior: &Tensor,
        upstream: Option<&Tensor>,
        (first, tokens): (i64, i64),
    ) -> Result<Chunk<'_>> {
        let part = |of_tokens: &Tensor| of_tokens.f_narrow(0, first, tokens);
        let (smoothing, classes) = (self.label_smoothing, logits.size()[1]);
        let kept = match (&self.row_weights, smoothing > 0.0) {
            (None, false) => None,
            (None, true) => {
                Some(Tensor::f_full([tokens], 1.0 - smoothing, (logits.kind(), logits.device()))?)
            }
            (Some(weights), _) => Some(part(weights)?.f_mul_scalar(1.0 - smoothing)?),
        };
        Ok(Chunk {
            logits,
            targets: part(&self.targets)?,
            log_prior: wide(&part(log_prior)?)?,
            kept,
            upstream: upstream.map(part).transpose()?,
            spread: smoothing / classes as f64,
            class_weights: self.class_weights.as_ref(),
        })
    }
}

impl Chunk<'_> {
    /// Numbers of the tokens times the weight of the target's part.
    fn of_target(&self, numbers: &Tensor) -> Result<Tensor> {
        Ok(match &self.kept {
            Some(kept) if numbers.dim() == 2 => numbers.f_mul(&kept.f_unsqueeze(1)?)?,
            Some(kept) => numbers.f_mul(kept)?,
            None => numbers.shallow_clone(),
        })
    }

    /// The part of the loss that is the target's, `-(1 - e) w_y log p(y)`, `[R]`.
    fn target_loss(&self, log_prob: &Tensor) -> Result<Tensor> {
        let loss = self.of_target(&log_prob.f_neg()?)?;
        Ok(match &self.kept {
            // What weighs nothing costs nothing, a target of probability zero too.
            Some(kept) => loss.f_masked_fill(&kept.f_eq(0.0)?, 0.0)?,
            None => loss,
        })
    }

    /// Number of components, `K`.
    fn components(&self) -> i64 {
        self.log_prior.size()[1]
    }

    /// One number for each of the `K` rows of a token, `[R K]`, from `[R]`.
    fn for_rows(&self, of_tokens: &Tensor) -> Result<Tensor> {
        Ok(of_tokens.f_repeat_interleave_self_int(self.components(), 0, None)?)
    }

    /// Loss and gradients without label smoothing.
    fn plain(&mut self) -> Result<ChunkResult> {
        let targets = self.for_rows(&self.targets)?;
        let sums = exponentials(&mut self.logits, &targets, None)?;
        let joint = sums.target_log_prob.f_view([-1, self.components()])?.f_add(&self.log_prior)?;
        let log_prob = joint.f_logsumexp([1_i64].as_slice(), true)?;
        let losses = self.target_loss(&log_prob.f_squeeze_dim(1)?)?;
        let Some(upstream) = &self.upstream else { return Ok(ChunkResult { losses, d_log_prior: None }) };
        // A target that no component gives any probability is shared evenly, so that the gradients
        // stay finite where the loss does not.
        let even = 1.0 / self.components() as f64;
        let share = joint.f_sub(&log_prob)?.f_exp()?.f_masked_fill(&log_prob.f_isneginf()?, even)?;
        let of_target = self.of_target(&share)?.f_mul(&upstream.f_unsqueeze(1)?)?;
        let target = of_target.f_view([-1])?;
        let mass = target.f_mul(&sums.log_sum.f_neg()?.f_exp()?)?;
        gradient(&mut self.logits, &targets, GradientFactors { mass, spread: None, target })?;
        Ok(ChunkResult { losses, d_log_prior: Some(of_target.f_neg()?) })
    }
}

impl ChunkedSweep for MixtureSweep {
    const NAME: &'static str = "chunked mixture of softmaxes";

    fn rows(&self) -> i64 {
        self.targets.size()[0]
    }

    fn sweep(
        &self,
        inputs: &Inputs,
        upstream: Option<&Tensor>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        let linear = Linear::new(inputs.tensor(LATENT)?, inputs.tensor(WEIGHT)?, inputs.get(BIAS));
        let log_prior = inputs.tensor(LOG_PRIOR)?;
        let components = log_prior.size()[1];
        let smoothed = self.label_smoothing > 0.0;
        let beside = if smoothed { smoothing::row_bytes(&linear, components) } else { 0 };
        let is_wanted = |index: usize| upstream.is_some() && wanted.get(index) == Some(&true);
        let of_linear = [LATENT, WEIGHT, BIAS].map(is_wanted);
        let mut layer = LinearChunks::new(linear, None, (components, beside), of_linear, self.memory)?;
        let mut buffer = smoothing::Buffer::new(smoothed, &linear, layer.chunks().rows() * components)?;
        let upstream = upstream.filter(|_| of_linear.contains(&true) || is_wanted(LOG_PRIOR));
        let (mut losses, mut d_log_prior) = (Vec::new(), Vec::new());
        for (first, tokens) in layer.chunks() {
            let logits = layer.logits(first * components, tokens * components)?;
            let mut chunk = self.chunk(logits, log_prior, upstream, (first, tokens))?;
            let made = match &mut buffer {
                Some(buffer) => chunk.smoothed(buffer)?,
                None => chunk.plain()?,
            };
            losses.push(made.losses);
            if let Some(made) = made.d_log_prior {
                d_log_prior.push(made);
                if layer.wants_gradients() {
                    layer.add_gradients(first * components, chunk.logits)?;
                }
            }
        }
        let (kind, device) = (wide_kind(log_prior.kind()), log_prior.device());
        let all = |parts: &[Tensor], none: &[i64]| match parts.len() {
            0 => Tensor::f_zeros(none, (kind, device)),
            _ => Tensor::f_cat(parts, 0),
        };
        let mut gradients = layer.finish()?;
        let made = is_wanted(LOG_PRIOR).then(|| all(&d_log_prior, &log_prior.size())).transpose()?;
        let made = made.map(|made| made.f_to_kind(log_prior.kind())).transpose()?;
        gradients.push(made.map(Gradient::from));
        Ok((all(&losses, &[0])?, gradients))
    }

    fn watched(&self) -> Vec<&Tensor> {
        let own = [Some(&self.targets), self.row_weights.as_ref(), self.class_weights.as_ref()];
        own.into_iter().flatten().collect()
    }
}
