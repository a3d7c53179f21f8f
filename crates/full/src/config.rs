//! Configuration of the exact softmax.

use lexmax_output::{LayerSizes, LogitTransform, LossOptions, OutputError, Result, transform_name};
use serde::{Deserialize, Serialize};

/// Options of [`crate::Full`]; the defaults give the plain softmax with a bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FullConfig {
    /// Whether each class has a bias.
    pub bias: bool,
    /// Whether the class weight is the input embedding (Press & Wolf 2017, arXiv 1608.05859).
    pub tied: bool,
    /// Logits are divided by this before anything else.
    pub temperature: Temperature,
    /// Cap `c` of the transform `c tanh(z / c)`, the soft cap; not beside another transform.
    pub soft_cap: Option<f64>,
    /// Transform of the logits by its name, such as `sigsoftmax`; see [`LogitTransform`].
    #[serde(with = "transform_name", skip_serializing_if = "is_identity")]
    pub transform: LogitTransform,
    /// Weight of `(log sum_c exp z_c)^2` in the training loss.
    pub z_loss: f64,
    /// Exponent `gamma` of the factor `(1 - p_y)^gamma` on the training loss (focal loss); zero is
    /// the plain loss.
    pub focal_gamma: f64,
    /// `tau`: the training loss sees `z_c + tau log prior_c`; the layer's distribution stays that
    /// of `z`.
    pub logit_adjustment: f64,
    /// Leaves classes out of the gradients to which no row of a chunk (at most 512) gives a
    /// probability above this; the loss stays exact, targets are always kept, and
    /// [`lexmax_output::OutputLayer::left_out`] tells the mass that was dropped. `None` is exact
    /// gradients. Fused path only: where a layer computes in plain ATen (`compute = "chunked"` or
    /// `"reference"`, other devices and dtypes) the key is refused, since nothing would be filtered
    /// there. Not with label smoothing. (Cut Cross-Entropy, Wijmans et al. 2025, arXiv 2411.09009.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_filter: Option<f64>,
    /// Whether the filter also applies to the gradients of weight and bias; `false` keeps these
    /// exact and filters that of the hidden states alone. Only with `gradient_filter`.
    #[serde(skip_serializing_if = "is_true")]
    pub filter_weight: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

// Options that are off are not written, so configurations without them look as they always did.
fn is_true(value: &bool) -> bool {
    *value
}

fn is_identity(transform: &LogitTransform) -> bool {
    *transform == LogitTransform::Identity
}

impl Default for FullConfig {
    fn default() -> Self {
        Self {
            bias: true,
            tied: false,
            temperature: Temperature::default(),
            soft_cap: None,
            transform: LogitTransform::Identity,
            z_loss: 0.0,
            focal_gamma: 0.0,
            logit_adjustment: 0.0,
            gradient_filter: None,
            filter_weight: true,
            loss: LossOptions::default(),
        }
    }
}

/// Options of the layer name `sigsoftmax`, an alias of the exact softmax with the transform of that
/// name.
///
/// ```
/// use lexmax_full::{FullConfig, SigsoftmaxConfig};
/// use lexmax_output::LogitTransform;
/// let config = FullConfig::from(&SigsoftmaxConfig { bias: false, ..SigsoftmaxConfig::default() });
/// assert_eq!((config.bias, config.transform), (false, LogitTransform::Sigsoftmax));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigsoftmaxConfig {
    /// Whether each class has a bias.
    pub bias: bool,
    /// Whether the class weight is the input embedding.
    pub tied: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

impl Default for SigsoftmaxConfig {
    fn default() -> Self {
        Self { bias: true, tied: false, loss: LossOptions::default() }
    }
}

impl SigsoftmaxConfig {
    /// Checks everything about the layer that can be known before it is built, as
    /// [`FullConfig::check`] does.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        FullConfig::from(self).check(sizes)
    }
}

impl From<&SigsoftmaxConfig> for FullConfig {
    fn from(config: &SigsoftmaxConfig) -> Self {
        let SigsoftmaxConfig { bias, tied, loss } = config.clone();
        Self { bias, tied, loss, transform: LogitTransform::Sigsoftmax, ..Self::default() }
    }
}

/// Divisor of the logits: a number, or the word `sqrt-vocab` for the square root of `V`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number above zero or the word `sqrt-vocab`")]
pub enum Temperature {
    /// A number above zero.
    Value(f64),
    /// A divisor that follows from the sizes.
    Named(NamedTemperature),
}

/// Temperatures that follow from the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedTemperature {
    /// The square root of the number of classes.
    SqrtVocab,
}

impl Default for Temperature {
    fn default() -> Self {
        Self::Value(1.0)
    }
}

impl Temperature {
    /// The divisor for `vocab_size` classes.
    pub fn divisor(self, vocab_size: i64) -> f64 {
        match self {
            Self::Value(value) => value,
            Self::Named(NamedTemperature::SqrtVocab) => (vocab_size as f64).sqrt(),
        }
    }
}

/// Values that a divisor may have, in words.
const USABLE: &str = "a number above zero within the range of f32";

impl FullConfig {
    /// Transform of the logits that the two keys amount to.
    pub fn logit_transform(&self) -> LogitTransform {
        self.soft_cap.map_or(self.transform, LogitTransform::SoftCap)
    }

    /// Checks everything about the layer that can be known before it is built.
    ///
    /// # Errors
    /// As [`LayerSizes::check`] and [`FullConfig::validate`]; a gradient filter where the fused
    /// path is not taken; tying without an embedding `[V, D]`.
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        let layer = crate::NAME;
        sizes.check(layer, &self.loss)?;
        self.validate(sizes.vocab_size)?;
        if self.gradient_filter.is_some() && !sizes.fused {
            let why = "only the fused path (f32 or f64 on a CPU) filters; the chunked and the reference path compute exact gradients";
            return Err(OutputError::refused(layer, "gradient_filter", why));
        }
        if self.tied { sizes.check_tied(layer, sizes.hidden_size) } else { Ok(()) }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// The first option out of its range, or two that do not go together, by name.
    pub fn validate(&self, vocab_size: i64) -> Result<()> {
        let layer = crate::NAME;
        let check = |name, value: f64, fits: bool, expected: &str| {
            // Single precision has the smaller range.
            if fits && (value as f32).is_finite() {
                Ok(())
            } else {
                Err(OutputError::argument(layer, name, value, expected))
            }
        };
        let divisor = self.temperature.divisor(vocab_size);
        // Both are divided by, in f32 too, whose range is the smaller one.
        let single = |value: f64| value as f32 > 0.0 && (value as f32).is_finite();
        let usable = |value: f64| single(value) && single(1.0 / value);
        check("temperature", divisor, usable(divisor), USABLE)?;
        if let Some(cap) = self.soft_cap {
            check("soft_cap", cap, usable(cap), USABLE)?;
            if self.transform != LogitTransform::Identity {
                let why = format!(
                    "the logits take one transform, and `transform` gives `{}`",
                    self.transform.name()
                );
                return Err(OutputError::refused(layer, "soft_cap", why));
            }
        }
        if LogitTransform::named(self.transform.name()).is_none() {
            let why = format!("the number of `{}` has a key of its own", self.transform.name());
            return Err(OutputError::refused(layer, "transform", why));
        }
        check("z_loss", self.z_loss, self.z_loss >= 0.0, "a finite number from zero up")?;
        check("focal_gamma", self.focal_gamma, self.focal_gamma >= 0.0, "a finite number from zero up")?;
        check("logit_adjustment", self.logit_adjustment, true, "a finite number")?;
        if let Some(eps) = self.gradient_filter {
            check("gradient_filter", eps, eps > 0.0 && eps < 1.0, "a number between zero and one")?;
            if self.loss.label_smoothing > 0.0 {
                let why = "with label smoothing every class has a gradient that does not vanish with its probability";
                return Err(OutputError::refused(layer, "gradient_filter", why));
            }
        } else if !self.filter_weight {
            let why = "without `gradient_filter` nothing is filtered";
            return Err(OutputError::refused(layer, "filter_weight", why));
        }
        if self.focal_gamma > 0.0 && self.loss.label_smoothing > 0.0 {
            let why = "the focal factor is defined on the probability of one target, not of a smoothed one";
            return Err(OutputError::refused(layer, "label_smoothing", why));
        }
        Ok(())
    }
}
