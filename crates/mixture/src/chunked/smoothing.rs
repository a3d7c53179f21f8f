//! Label smoothing of a chunk of a mixture: `log p(c)` of every class, and the share of each
//! component in it.

use lexmax_output::chunked::weighted_sum;
use lexmax_output::dense::wide_kind;
use lexmax_output::{Linear, Result};
use tch::{Kind, Tensor};

use super::{Chunk, ChunkResult};

/// A second buffer of a chunk, `[R K, V]`, for the shares.
pub(super) struct Buffer(Tensor);

impl Buffer {
    /// The buffer for so many rows, where there is smoothing.
    pub fn new(smoothed: bool, linear: &Linear<'_>, rows: i64) -> Result<Option<Self>> {
        if !smoothed {
            return Ok(None);
        }
        let weight = linear.weight;
        let size = [rows, weight.size()[0]];
        Ok(Some(Self(Tensor::f_empty(size, (wide_kind(weight.kind()), weight.device()))?)))
    }
}

/// Bytes of a row beside its logits: the shares, and `[R, V]` for the largest component, the sum
/// of their exponentials and its logarithm.
pub(super) fn row_bytes(linear: &Linear<'_>, components: i64) -> i64 {
    let element = wide_kind(linear.weight.kind()).elt_size_in_bytes() as i64;
    let tensors = 1.0 + 3.0 / components.max(1) as f64;
    (linear.weight.size()[0] as f64 * element as f64 * tensors).ceil() as i64
}

impl Chunk<'_> {
    /// Loss and gradients with label smoothing: a token costs
    /// `-(1 - e) w_y log p(y) - e/V sum_c w_c log p(c)`.
    pub(super) fn smoothed(&mut self, buffer: &mut Buffer) -> Result<ChunkResult> {
        let (components, classes) = (self.components(), self.logits.size()[1]);
        let rows = self.logits.size()[0];
        let mut shares = buffer.0.f_narrow(0, 0, rows)?;
        let by_token = [-1, components, classes];

        // Logits become log joint probabilities, `log pi_k + log p_k(c)`.
        let max = self.logits.f_amax([1_i64].as_slice(), true)?;
        let _ = self.logits.f_sub_out(&shares, &max)?;
        let log_sum = shares.f_exp_()?.f_sum_dim_intlist([1_i64].as_slice(), true, None::<Kind>)?.f_log()?;
        let prior = self.log_prior.f_reshape([rows, 1])?;
        let _ = self.logits.f_add_(&prior.f_sub(&max)?.f_sub_(&log_sum)?)?;

        // Their sum over the components is `p(c)`, and each one's part of it its share.
        let joint = self.logits.f_view(by_token)?;
        // A class that no component gives any probability is below every number, and no one's.
        let mut mixed = joint.f_amax([1_i64].as_slice(), false)?.f_clamp_min_(f64::from(f32::MIN))?;
        let mut shares_by_token = shares.f_view(by_token)?;
        let _ = joint.f_sub_out(&shares_by_token, &mixed.f_unsqueeze(1)?)?;
        let mut sum = shares_by_token.f_exp_()?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?;
        let _ = mixed.f_add_(&sum.f_log()?)?;
        let _ = shares_by_token.f_div_(&sum.f_clamp_min_(f64::from(f32::MIN_POSITIVE))?.f_unsqueeze(1)?)?;

        let at_target = self.targets.f_unsqueeze(1)?;
        let log_prob = mixed.f_gather(1, &at_target, false)?.f_squeeze_dim(1)?;
        let of_all = weighted_sum(&mixed, self.class_weights)?.f_mul_scalar(self.spread)?;
        let losses = self.target_loss(&log_prob)?.f_sub(&of_all)?;
        let Some(upstream) = &self.upstream else { return Ok(ChunkResult { losses, d_log_prior: None }) };
        drop((mixed, sum));

        let targets = self.for_rows(&self.targets)?.f_unsqueeze(1)?;
        let of_target = shares.f_gather(1, &targets, false)?.f_view([-1, components])?;
        let of_target = self.of_target(&of_target)?.f_mul(&upstream.f_unsqueeze(1)?)?;
        let scale = self.for_rows(upstream)?.f_mul_scalar(self.spread)?;
        let spread = weighted_sum(&shares, self.class_weights)?.f_mul(&scale)?;
        let mass = of_target.f_view([-1])?.f_add(&spread)?;

        // Joint probabilities become those of the component alone, and these the gradient.
        let _ = self.logits.f_sub_(&prior)?.f_exp_()?.f_mul_(&mass.f_unsqueeze(1)?)?;
        let _ = shares.f_mul_(&scale.f_unsqueeze(1)?)?;
        if let Some(weights) = self.class_weights {
            let _ = shares.f_mul_(weights)?;
        }
        let _ = self.logits.f_sub_(&shares)?;
        let at_targets = of_target.f_view([-1, 1])?.f_neg()?;
        let _ = self.logits.f_scatter_add_(1, &targets, &at_targets)?;
        Ok(ChunkResult { losses, d_log_prior: Some(mass.f_view([-1, components])?.f_neg()?) })
    }
}
