//! The softmax of a chunk in place: from logits to exponentials and their sums, and from these to
//! the gradient of the logits.

use tch::{Kind, Tensor};

use crate::Result;

/// Sums of the rows of a chunk, each `[R]`; its logits have become `exp(z_c - max)`.
#[derive(Debug)]
pub struct RowSums {
    /// Largest logit.
    pub max: Tensor,
    /// Logarithm of the sum of exponentials, `log sum_c exp(z_c - max)`.
    pub log_sum: Tensor,
    /// Log-probability of the target.
    pub target_log_prob: Tensor,
    /// Weighted sum of the logits below the largest, `sum_c w_c (z_c - max)`, where it was asked
    /// for.
    pub weighted: Option<Tensor>,
}

/// Weights of the classes, `[V]`; `None` is one each.
pub type ClassWeights<'a> = Option<&'a Tensor>;

/// Replaces logits `[R, V]` by `exp(z_c - max)`. `weighted` asks for the weighted sum of the
/// logits.
///
/// # Errors
/// libtorch refused.
pub fn exponentials(
    logits: &mut Tensor,
    targets: &Tensor,
    weighted: Option<ClassWeights<'_>>,
) -> Result<RowSums> {
    let max = logits.f_amax([1_i64].as_slice(), true)?;
    let _ = logits.f_sub_(&max)?;
    let of_target = logits.f_gather(1, &targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
    let weighted = weighted.map(|weights| weighted_sum(logits, weights)).transpose()?;
    let log_sum = logits.f_exp_()?.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?.f_log()?;
    let target_log_prob = of_target.f_sub(&log_sum)?;
    Ok(RowSums { max: max.f_squeeze_dim(1)?, log_sum, target_log_prob, weighted })
}

/// Sum over the classes of each row, `sum_c w_c x_c`, `[R]`.
///
/// # Errors
/// libtorch refused.
pub fn weighted_sum(rows: &Tensor, weights: ClassWeights<'_>) -> Result<Tensor> {
    Ok(match weights {
        Some(weights) => rows.f_mv(weights)?,
        None => rows.f_sum_dim_intlist([1_i64].as_slice(), false, None::<Kind>)?,
    })
}

/// Factors of a chunk's gradient `mass exp(z_c - max) - spread w_c - target [c = y]`, each `[R]`.
#[derive(Debug)]
pub struct GradientFactors<'a> {
    /// Factor of the exponentials.
    pub mass: Tensor,
    /// Factor of the class weights, and these; `None` without label smoothing.
    pub spread: Option<(Tensor, ClassWeights<'a>)>,
    /// Factor at the target.
    pub target: Tensor,
}

/// Replaces the exponentials of [`exponentials`] by the gradient of the logits.
///
/// # Errors
/// libtorch refused.
pub fn gradient(exponentials: &mut Tensor, targets: &Tensor, factors: GradientFactors<'_>) -> Result<()> {
    let GradientFactors { mass, spread, target } = factors;
    let _ = exponentials.f_mul_(&mass.f_unsqueeze(1)?)?;
    match spread {
        None => {}
        Some((factor, None)) => {
            let _ = exponentials.f_sub_(&factor.f_unsqueeze(1)?)?;
        }
        Some((factor, Some(weights))) => {
            let by_class = weights.f_unsqueeze(0)?;
            let _ = exponentials.f_addcmul_(&factor.f_neg()?.f_unsqueeze(1)?, &by_class)?;
        }
    }
    let at_targets = target.f_neg()?.f_unsqueeze(1)?;
    let _ = exponentials.f_scatter_add_(1, &targets.f_unsqueeze(1)?, &at_targets)?;
    Ok(())
}
