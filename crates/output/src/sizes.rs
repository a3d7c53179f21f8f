//! Sizes of a layer that is not built yet: enough to refuse options before any memory or time is
//! spent on it.

use lexmax_kernels::product::Precision;

use crate::options::LossOptions;
use crate::{OutputError, Result};

/// Sizes and settings that decide whether a layer can be built. A layer's constructor checks its
/// configuration against those of its [`crate::BuildContext`], and a program that plans many runs
/// does so before the first one starts.
///
/// ```
/// use lexmax_output::{LayerSizes, LossOptions};
///
/// let sizes = LayerSizes::new(10, 8);
/// assert!(sizes.check("full", &LossOptions::default()).is_ok());
/// let two = LossOptions { class_weights: Some(vec![1.0, 2.0]), ..LossOptions::default() };
/// let refusal = sizes.check("full", &two).unwrap_err().to_string();
/// assert_eq!(refusal, "full: class_weights is 2 numbers, expected one weight for each of 10 classes");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSizes {
    /// Number of classes, `V`.
    pub vocab_size: i64,
    /// Width of the hidden states, `D`.
    pub hidden_size: i64,
    /// Shape of the input embedding that a layer may share; `None` where there is none.
    pub embedding: Option<Vec<i64>>,
    /// Start range of the weights, where one is given.
    pub init_range: Option<f64>,
    /// Whether a layer that has a fused path takes it.
    pub fused: bool,
    /// Precision of the products of the training loss.
    pub precision: Precision,
    /// Rows of the largest training batch, where that is known.
    pub rows: Option<usize>,
}

/// Range of a start range, for messages.
pub const INIT_RANGE: &str = "a number from 1.5e-45 to 1.7e38, since weights are drawn in f32";
/// More are a mistake in a configuration: four terabytes of f32.
const MOST_ELEMENTS: f64 = (1_u64 << 40) as f64;
/// Names the embedding in errors.
pub(crate) const TIED: &str = "the input embedding to share (option `tied`)";

impl LayerSizes {
    /// Sizes without an embedding to share, on the fused path.
    pub fn new(vocab_size: i64, hidden_size: i64) -> Self {
        Self {
            vocab_size,
            hidden_size,
            embedding: None,
            init_range: None,
            fused: true,
            precision: Precision::Full,
            rows: None,
        }
    }

    /// Checks the sizes themselves, the start range, the precision, and the options that all
    /// families share.
    ///
    /// # Errors
    /// No class or no width; a start range that f32 does not hold; products in bf16 off the fused
    /// path; loss options as in [`LossOptions::validate`].
    pub fn check(&self, layer: &'static str, loss: &LossOptions) -> Result<()> {
        if self.vocab_size < 1 {
            return Err(OutputError::argument(layer, "vocab_size", self.vocab_size, "at least 1 class"));
        }
        if self.hidden_size < 1 {
            return Err(OutputError::argument(layer, "hidden_size", self.hidden_size, "at least 1"));
        }
        self.init_range.map_or(Ok(()), check_init_range)?;
        if !self.fused {
            self.refuse_bf16(
                layer,
                "they are those of the fused kernels, which this layer does not take here",
            )?;
        }
        check_elements(&[self.vocab_size, self.hidden_size])?;
        loss.validate(layer, self.vocab_size)
    }

    /// Refuses products in bf16 for a layer whose fused path makes none over its classes.
    ///
    /// # Errors
    /// [`Precision::Bf16`] is asked for.
    pub fn refuse_bf16(&self, layer: &'static str, why: &str) -> Result<()> {
        match self.precision {
            Precision::Full => Ok(()),
            Precision::Bf16 => Err(OutputError::refused(layer, "bf16 products", why)),
        }
    }

    /// Checks that there is an embedding `[V, width]` to share.
    ///
    /// # Errors
    /// None was given, or one of another shape.
    pub fn check_tied(&self, layer: &'static str, width: i64) -> Result<()> {
        match &self.embedding {
            None => Err(OutputError::refused(layer, "tied", "no input embedding was given to share")),
            Some(shape) if *shape != [self.vocab_size, width] => Err(OutputError::Shape {
                op: layer,
                what: TIED,
                given: shape.clone(),
                expected: format!("[{}, {width}]", self.vocab_size),
            }),
            Some(_) => Ok(()),
        }
    }
}

/// Checks a start range `r`: weights are drawn in f32 from -r to r.
///
/// # Errors
/// A number that is not above zero in f32, or so large that f32 does not hold the distance from -r
/// to r.
pub fn check_init_range(range: f64) -> Result<()> {
    let single = range as f32;
    // The distance from -r to r is divided by the largest draw, just below one.
    if single > 0.0 && (2.0 * single / (1.0 - f32::EPSILON)).is_finite() {
        return Ok(());
    }
    Err(OutputError::argument("build", "init_range", format!("{range:e}"), INIT_RANGE))
}

/// Checks that a parameter is one that a machine could hold.
///
/// # Errors
/// More than 2^40 elements.
pub fn check_elements(shape: &[i64]) -> Result<()> {
    if shape.iter().map(|size| *size as f64).product::<f64>() <= MOST_ELEMENTS {
        return Ok(());
    }
    let (given, expected) = (format!("{shape:?}"), format!("at most {MOST_ELEMENTS:e} elements"));
    Err(OutputError::argument("build", "the shape of a parameter", given, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_ranges_that_f32_cannot_draw_from_are_refused() {
        for bad in [0.0, -0.1, 1e-50, 1.8e38, 2e38, 1e39, f64::INFINITY, f64::NAN] {
            assert!(check_init_range(bad).is_err(), "{bad}");
        }
        for good in [1e-40, 1e-6, 0.1, 1.0, 1.6e38] {
            assert!(check_init_range(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn bf16_products_are_refused_off_the_fused_path() {
        let fused = LayerSizes { precision: Precision::Bf16, ..LayerSizes::new(10, 8) };
        assert!(fused.check("full", &LossOptions::default()).is_ok());
        let elsewhere = LayerSizes { fused: false, ..fused }.check("full", &LossOptions::default());
        let refusal = elsewhere.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal.contains("full") && refusal.contains("bf16 products"), "{refusal}");
    }

    #[test]
    fn an_embedding_of_another_shape_is_not_shared() {
        let sizes = LayerSizes { embedding: Some(vec![10, 4]), ..LayerSizes::new(10, 8) };
        assert!(sizes.check_tied("full", 4).is_ok());
        let refusal = sizes.check_tied("full", 8).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal.contains("[10, 4]") && refusal.contains("expected [10, 8]"), "{refusal}");
    }
}
