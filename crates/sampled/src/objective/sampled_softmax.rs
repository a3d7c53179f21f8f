//! Sampled softmax with the log-q correction.

use lexmax_output::Result;
use tch::Tensor;

use super::logits::Logits;

/// `-log(exp(u_y) / (exp(u_y) + sum_s exp(u_s)))` of each row, `[N]`, with corrected logits
/// `u_c = z_c - log E_c`, where `E_c` is the expected count of class `c` among the negatives.
///
/// The correction makes each negative stand for the classes that were not drawn, so the gradient
/// tends to that of the full softmax as `S` grows. Papers: Bengio & Senecal 2008, "Adaptive
/// importance sampling to accelerate training of a neural probabilistic language model"; Jean et
/// al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", arXiv
/// 1412.2007.
///
/// With replacement and accidental hits kept the optimum is exactly `z_c = log p_c` and a constant,
/// for any `S` (Ma & Collins 2018, "Noise Contrastive Estimation and Negative Sampling for
/// Conditional Models: Consistency and Statistical Efficiency", arXiv 1809.01812, the ranking
/// loss). Without hits it is so nearly, and the gradient tends to the full one.
///
/// # Errors
/// libtorch refused.
pub fn rows(corrected: &Logits) -> Result<Tensor> {
    // The two-class form of the same softmax: never negative, and no digits lost where the target
    // wins.
    let negatives = corrected.negative.f_logsumexp([-1_i64].as_slice(), false)?;
    Ok(corrected.target.f_sub(&negatives)?.f_log_sigmoid()?.f_neg()?)
}
