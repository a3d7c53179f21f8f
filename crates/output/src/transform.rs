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
