//! Transforms of logits as tensor operations: the reference that the kernels are held to.

use lexmax_kernels::LogitTransform;
use tch::Tensor;

use crate::Result;

/// Logits of any shape under a transform, in plain ATen; stable for logits of any size.
///
/// ```
/// use lexmax_output::{LogitTransform, transform_logits};
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice(&[0.0_f64, -1e4]);
/// let transformed = transform_logits(&logits, LogitTransform::Sigsoftmax)?;
/// assert!((transformed.double_value(&[0]) - 0.5_f64.ln()).abs() < 1e-12);
/// assert_eq!(transformed.double_value(&[1]), -2e4);
/// # Ok::<(), lexmax_output::OutputError>(())
/// ```
///
/// # Errors
/// libtorch refused.
pub fn transform_logits(logits: &Tensor, transform: LogitTransform) -> Result<Tensor> {
    Ok(match transform {
        LogitTransform::Identity => logits.shallow_clone(),
        LogitTransform::SoftCap(cap) => logits.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?,
        LogitTransform::Sigsoftmax => logits.f_add(&logits.f_log_sigmoid()?)?,
    })
}

/// Whether the slope of a transform is another number than one.
pub(crate) fn has_slope(transform: LogitTransform) -> bool {
    transform != LogitTransform::Identity
}

/// Replaces logits by what [`transform_logits`] makes of them, and `slope`, of the same shape, by
/// the derivative.
///
/// # Errors
/// libtorch refused.
pub(crate) fn transform_in_place(
    logits: &mut Tensor,
    slope: &mut Tensor,
    transform: LogitTransform,
) -> Result<()> {
    match transform {
        LogitTransform::Identity => {
            let _ = slope.f_fill_(1.0)?;
        }
        LogitTransform::SoftCap(cap) => {
            let _ = logits.f_div_scalar_(cap)?.f_tanh_()?;
            let _ = logits.f_square_out(slope)?;
            let _ = slope.f_neg_()?.f_add_scalar_(1.0)?;
            let _ = logits.f_mul_scalar_(cap)?;
        }
        LogitTransform::Sigsoftmax => {
            let _ = logits.f_log_sigmoid_out(slope)?;
            let _ = logits.f_add_(slope)?;
            // 2 - sigmoid(z), by the logarithm that is there.
            let _ = slope.f_exp_()?.f_neg_()?.f_add_scalar_(2.0)?;
        }
    }
    Ok(())
}

/// Names of transforms in configurations, for serde's `with`.
pub mod transform_name {
    use lexmax_kernels::LogitTransform;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    /// Writes the name of a transform that has no number.
    ///
    /// # Errors
    /// A transform with a number, which a name alone does not bring back.
    pub fn serialize<S: Serializer>(transform: &LogitTransform, to: S) -> Result<S::Ok, S::Error> {
        let name = transform.name();
        match LogitTransform::named(name) {
            Some(_) => to.serialize_str(name),
            None => Err(ser::Error::custom(format!("`{name}` has a key of its own for its number"))),
        }
    }

    /// Reads the name of a transform that has no number.
    ///
    /// # Errors
    /// Another name; the message lists those that there are.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LogitTransform, D::Error> {
        let name = String::deserialize(from)?;
        LogitTransform::named(&name).ok_or_else(|| {
            let known: Vec<_> =
                LogitTransform::NAMED.iter().map(|known| format!("`{}`", known.name())).collect();
            de::Error::custom(format!("unknown transform `{name}`, expected one of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn transform_in_place_is_the_formula_and_its_derivative() {
        let all = LogitTransform::NAMED.iter().copied().chain([LogitTransform::SoftCap(3.0)]);
        for transform in all {
            let logits = Tensor::from_slice(&[-1e4_f64, -30.0, -1.3, -1e-9, 0.0, 0.4, 2.0, 40.0, 1e4]);
            let logits = logits.set_requires_grad(true);
            let expected = transform_logits(&logits, transform).unwrap();
            expected.sum(tch::Kind::Double).backward();
            let (mut found, mut slope) = (logits.detach().copy(), logits.zeros_like());
            transform_in_place(&mut found, &mut slope, transform).unwrap();
            assert!(found.allclose(&expected, 1e-14, 0.0, false), "{transform:?}: {found}");
            assert!(slope.allclose(&logits.grad(), 1e-13, 1e-15, false), "{transform:?}: {slope}");
            assert_eq!(has_slope(transform), transform != LogitTransform::Identity);
        }
    }
}
