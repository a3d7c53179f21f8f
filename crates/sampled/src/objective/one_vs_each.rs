//! One-vs-each.

use lexmax_output::Result;
use tch::Tensor;

use super::logits::Logits;
use crate::negatives::Negatives;

/// `sum_s (1 / E_s) log(1 + exp(z_s - z_y))` of each row, `[N]`, with the bare logits and the
/// expected count `E_s` of each negative: an estimate of `sum_{c != y} log(1 + exp(z_c - z_y))`.
///
/// The estimate has no bias with replacement, where `E_s` is exact, and is the sum itself with
/// `S = V` unique. Of other unique draws the number of draws `T` gives `E_s`; it knows something of
/// the set, so the estimate has a bias, of a tenth where `S` comes near `V`.
///
/// That sum bounds the softmax's negative log-likelihood from above, since a product over all other
/// classes of `s(z_y - z_c)` is at most the softmax; its optimum is `z_c = log p_c` and a constant.
/// Paper: Titsias 2016, "One-vs-Each Approximation to Softmax for Scalable Estimation of
/// Probabilities", arXiv 1609.07410.
///
/// An accidental hit that is kept adds `log 2 / E_y`, a constant: gradient and optimum are the same
/// with and without hits, but only without them is the loss the bound.
///
/// # Errors
/// libtorch refused.
pub fn rows(logits: &Logits, negatives: &Negatives) -> Result<Tensor> {
    let losses = logits.target.f_unsqueeze(1)?.f_sub(&logits.negative)?.f_log_sigmoid()?.f_neg()?;
    let share = negatives.log_expected_count.f_to_kind(logits.target.kind())?.f_neg()?.f_exp()?;
    if negatives.per_row() {
        return Ok(losses.f_mul(&share)?.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<tch::Kind>)?);
    }
    Ok(losses.f_matmul(&share)?)
}
