//! Terms of the loss. Each is a function of tensors, so it can be used and tested alone.

use lexmax_output::Result;
use lexmax_output::dense::{wide, wide_kind};
use tch::{Kind, Tensor};

/// z-loss of each row, `weight (log sum_c exp z_c)^2`, from logits `[N, V]` to `[N]`: it pulls the
/// normaliser towards 1 (PaLM, 2022, arXiv 2204.02311).
///
/// # Errors
/// libtorch refused.
pub fn z_loss(logits: &Tensor, weight: f64) -> Result<Tensor> {
    Ok(wide(logits)?.f_logsumexp([-1_i64].as_slice(), false)?.f_square()?.f_mul_scalar(weight)?)
}

/// Focal loss of each row, `-(1 - p_y)^gamma log p_y`, from log-probabilities of targets `[N]` (Lin
/// et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002).
///
/// # Errors
/// libtorch refused.
pub fn focal(target_log_prob: &Tensor, gamma: f64) -> Result<Tensor> {
    // -expm1(log p) is 1 - p without cancellation near p = 1. The clamp keeps the power's
    // derivative finite there.
    let miss = target_log_prob.f_expm1()?.f_neg()?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
    Ok(miss.f_pow_tensor_scalar(gamma)?.f_mul(target_log_prob)?.f_neg()?)
}

/// Logits of the logit-adjusted loss, `z_c + tau log prior_c` (Menon et al. 2021, "Long-tail
/// learning via logit adjustment", arXiv 2007.07314; `tau = 1` is the balanced softmax of Ren et
/// al. 2020, arXiv 2007.10740).
///
/// # Errors
/// libtorch refused.
pub fn adjust(logits: &Tensor, scaled_log_prior: &Tensor) -> Result<Tensor> {
    Ok(logits.f_add(scaled_log_prior)?)
}

/// Log-probability of each row's target, `[N]`, from log-probabilities `[N, V]` and targets `[N]`.
///
/// # Errors
/// libtorch refused.
pub fn at_targets(log_probs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let no_weight = None::<&Tensor>;
    Ok(log_probs.f_nll_loss(targets, no_weight, tch::Reduction::None, i64::MIN)?.f_neg()?)
}

/// `tau log prior_c` for every class, `[V]`, in f32 for half precision: there it would be off by
/// hundredths of a nat.
///
/// # Errors
/// libtorch refused.
pub fn scaled_log_prior(log_prior: &[f64], tau: f64, kind: Kind, device: tch::Device) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(log_prior)?.f_mul_scalar(tau)?.f_to_kind(wide_kind(kind))?.f_to(device)?)
}
