//! Noise-contrastive estimation.

use lexmax_output::Result;
use tch::{Kind, Tensor};

use super::logits::Logits;

/// `-log s(u_y) - sum_s log s(-u_s)` of each row, `[N]`, with the logistic function `s` and
/// corrected logits `u_c = z_c - log E_c`, where `E_c` is the expected count of class `c` among the
/// negatives.
///
/// `s(u_c)` is the probability that a class came from the data and not from `S` draws of noise, if
/// `exp(z_c)` is its probability; so NCE drives `sum_c exp(z_c)` to 1 by itself, and there is no
/// normaliser to learn. Papers: Gutmann & Hyvarinen 2010, "Noise-contrastive estimation: A new
/// estimation principle for unnormalized statistical models"; Mnih & Teh 2012, "A fast and simple
/// algorithm for training neural probabilistic language models", arXiv 1206.6426.
///
/// That probability needs the accidental hits: the optimum balances `p_c` times the target's term
/// with `E_c` times the negative's. Where hits are left out, a class is a negative only of rows
/// that have another target, `(1 - p_c) E_c`, and the optimum is `exp(z_c) = p_c / (1 - p_c)`: for
/// `p = (.7, .2, .1)` it answers (.87, .09, .04).
///
/// # Errors
/// libtorch refused.
pub fn rows(corrected: &Logits) -> Result<Tensor> {
    binary_cross_entropies(corrected)
}

/// Sum of the binary cross-entropies of each row: the target is the data, the negatives are noise.
pub(super) fn binary_cross_entropies(logits: &Logits) -> Result<Tensor> {
    let target = logits.target.f_log_sigmoid()?;
    let noise = logits.negative.f_neg()?.f_log_sigmoid()?;
    let noise = noise.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<Kind>)?;
    Ok(target.f_add(&noise)?.f_neg()?)
}
