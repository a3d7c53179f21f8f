//! Choosing classes from dense log-probabilities: exact top-k and exact draws.

use lexmax_kernels::seed::Generator;
use rand::RngExt;
use tch::{Kind, Tensor};

use crate::{OutputError, Result, TopK};

/// Checks `1 <= k <= V`.
///
/// # Errors
/// Any other `k`, by the name of the operation.
pub fn check_k(op: &'static str, k: i64, vocab_size: i64) -> Result<()> {
    if (1..=vocab_size).contains(&k) {
        return Ok(());
    }
    Err(OutputError::argument(op, "k", k, format!("1 <= k <= {vocab_size}")))
}

/// The `k` largest entries of each row of log-probabilities `[N, V]`.
///
/// # Errors
/// `k` outside `1..=V`.
pub fn top_k_of(op: &'static str, log_probs: &Tensor, k: i64) -> Result<TopK> {
    check_k(op, k, log_probs.size().last().copied().unwrap_or(0))?;
    let (log_probs, ids) = log_probs.f_topk(k, -1, true, true)?;
    Ok(TopK { log_probs, ids })
}

/// One draw from each row of log-probabilities `[N, V]`, by inverting the distribution function:
/// one uniform a row, from the generator alone, so the draw does not depend on threads or device.
///
/// # Errors
/// Not two dimensions, or no class.
pub fn sample_from(log_probs: &Tensor, rng: &mut Generator) -> Result<Tensor> {
    let given = log_probs.size();
    if given.len() != 2 || given[1] == 0 {
        let expected = "[N, V], V from one up".to_owned();
        return Err(OutputError::Shape { op: "sample_from", what: "log-probabilities", given, expected });
    }
    let (rows, last) = (given[0], given[1] - 1);
    let _guard = tch::no_grad_guard();
    let uniforms: Vec<f64> = (0..rows).map(|_| rng.random::<f64>()).collect();
    let cumulative = log_probs.f_to_kind(Kind::Double)?.f_exp()?.f_cumsum(-1, None::<Kind>)?;
    // Rounding leaves the last sum a little off 1: scaling the uniform by it keeps every draw
    // inside.
    let total = cumulative.f_narrow(-1, last, 1)?;
    let threshold =
        Tensor::f_from_slice(&uniforms)?.f_view([rows, 1])?.f_to(log_probs.device())?.f_mul(&total)?;
    let ids = threshold.f_searchsorted(&cumulative, false, true, "right", None::<&Tensor>)?;
    Ok(ids.f_squeeze_dim(1)?.f_clamp_max(last)?)
}

/// One draw from `softmax(logits)` for each row of logits `[N, V]`.
///
/// # Errors
/// libtorch refused.
pub fn sample_logits(logits: &Tensor, rng: &mut Generator) -> Result<Tensor> {
    sample_from(&logits.f_log_softmax(-1, Kind::Double)?, rng)
}
