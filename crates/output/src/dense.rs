//! Exact answers from the logits of all classes, `[N, V]`: what every layer that ends in one
//! softmax shares.
//!
//! With [`crate::sample_logits`] these are the four queries of [`crate::OutputLayer`] that follow
//! from `p(c | h) = exp(z_c) / sum_j exp(z_j)`. Cost: a few passes over `[N, V]`, beside the
//! product that made the logits.
//!
//! Logits of half precision are normalised in f32, and the answers are f32: a log-probability of
//! -10 in bf16 has neighbours 0.06 away, and probabilities rounded so do not sum to one.

use tch::{Kind, Tensor};

use crate::{LogProb, Result, TopK, top_k_of};

/// Log-probability of one target a row, `z_y - log sum_j exp(z_j)`, `[N]`, from logits `[N, V]` and
/// targets `[N]`.
///
/// # Errors
/// libtorch refused.
pub fn log_prob(logits: &Tensor, targets: &Tensor) -> Result<LogProb> {
    let logits = wide(logits)?;
    let of_targets = logits.f_gather(1, &targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
    let normaliser = logits.f_logsumexp([-1_i64].as_slice(), false)?;
    Ok(LogProb::from_normalised(of_targets.f_sub(&normaliser)?))
}

/// Log-probabilities of all classes, `[N, V]`, from logits `[N, V]`.
///
/// # Errors
/// libtorch refused.
pub fn log_probs(logits: &Tensor) -> Result<LogProb> {
    Ok(LogProb::from_normalised(log_softmax(logits)?))
}

/// The `k` most probable classes of each row of logits `[N, V]`.
///
/// # Errors
/// `k` outside `1..=V`.
pub fn top_k(op: &'static str, logits: &Tensor, k: i64) -> Result<TopK> {
    // An answer is a number, not a part of a graph, on the fused path neither.
    let _guard = tch::no_grad_guard();
    let logits = wide(logits)?;
    let top = top_k_of(op, &logits, k)?;
    let normaliser = logits.f_logsumexp([-1_i64].as_slice(), true)?;
    Ok(TopK { log_probs: top.log_probs.f_sub(&normaliser)?, ids: top.ids })
}

/// `log softmax` over the last dimension; of half precision in f32.
///
/// # Errors
/// libtorch refused.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    Ok(wide(logits)?.f_log_softmax(-1, None::<Kind>)?)
}

/// A tensor of half precision in f32, any other as it is.
///
/// # Errors
/// libtorch refused.
pub fn wide(tensor: &Tensor) -> Result<Tensor> {
    let (own, wide) = (tensor.kind(), wide_kind(tensor.kind()));
    Ok(if own == wide { tensor.shallow_clone() } else { tensor.f_to_kind(wide)? })
}

/// Dtype that probabilities are computed in: f32 for half precision, any other as it is.
pub fn wide_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        other => other,
    }
}
