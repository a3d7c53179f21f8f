//! The configuration of any output layer, and the layer made from it.

use lexmax_output::{BuildContext, OutputLayer, Result};
use serde::{Deserialize, Serialize};

use crate::registry::{LAYERS, LayerEntry};

/// Configuration of an output layer: the key `layer` names it, the other keys are the options of that layer.
///
/// ```
/// let config: lexmax::OutputConfig = toml::from_str("layer = \"full\"\nsoft_cap = 30.0")?;
/// assert_eq!(config.family(), "full");
/// let error = toml::from_str::<lexmax::OutputConfig>("layer = \"full\"\nsoftcap = 30.0").unwrap_err();
/// assert!(error.to_string().contains("unknown field `softcap`"));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OutputConfig {
    /// Exact softmax, [`lexmax_full::Full`].
    #[cfg(feature = "full")]
    Full(lexmax_full::FullConfig),
    /// Sampled softmax, NCE, negative sampling or one-vs-each, [`lexmax_sampled::Sampled`].
    #[cfg(feature = "sampled")]
    Sampled(lexmax_sampled::SampledConfig),
    /// Huffman, balanced or two-level tree, [`lexmax_hierarchical`].
    #[cfg(feature = "hierarchical")]
    Hierarchical(lexmax_hierarchical::HierarchicalConfig),
    /// Adaptive softmax, [`lexmax_adaptive::Adaptive`].
    #[cfg(feature = "adaptive")]
    Adaptive(lexmax_adaptive::AdaptiveConfig),
    /// Mixture of softmaxes, [`lexmax_mixture::Mixture`].
    #[cfg(feature = "mixture")]
    Mos(lexmax_mixture::MixtureConfig),
    /// Exact softmax under the transform sigsoftmax, [`lexmax_full::Full`] by another name.
    #[cfg(feature = "full")]
    Sigsoftmax(lexmax_full::SigsoftmaxConfig),
}

impl OutputConfig {
    /// Checks what can be known from the configuration and the number of classes, without building anything.
    ///
    /// # Errors
    /// The first option out of its range, by name.
    pub fn validate(&self, vocab_size: i64) -> Result<()> {
        // Mixtures alone look at no number of classes.
        let _ = vocab_size;
        match self {
            #[cfg(feature = "full")]
            Self::Full(config) => config.validate(vocab_size),
            #[cfg(feature = "sampled")]
            Self::Sampled(config) => config.validate(vocab_size),
            #[cfg(feature = "hierarchical")]
            Self::Hierarchical(config) => config.validate(vocab_size),
            #[cfg(feature = "adaptive")]
            Self::Adaptive(config) => config.validate(vocab_size),
            #[cfg(feature = "mixture")]
            Self::Mos(config) => config.validate(),
            #[cfg(feature = "full")]
            Self::Sigsoftmax(config) => lexmax_full::FullConfig::from(config).validate(vocab_size),
        }
    }

    /// Builds the layer; its parameters are registered in the context's path.
    ///
    /// # Errors
    /// An option out of its range or one that the layer cannot honour, by name.
    pub fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn OutputLayer>> {
        match self {
            #[cfg(feature = "full")]
            Self::Full(config) => Ok(Box::new(lexmax_full::Full::new(context, config)?)),
            #[cfg(feature = "sampled")]
            Self::Sampled(config) => Ok(Box::new(lexmax_sampled::Sampled::new(context, config)?)),
            #[cfg(feature = "hierarchical")]
            Self::Hierarchical(config) => lexmax_hierarchical::build(context, config),
            #[cfg(feature = "adaptive")]
            Self::Adaptive(config) => Ok(Box::new(lexmax_adaptive::Adaptive::new(context, config)?)),
            #[cfg(feature = "mixture")]
            Self::Mos(config) => Ok(Box::new(lexmax_mixture::Mixture::new(context, config)?)),
            #[cfg(feature = "full")]
            Self::Sigsoftmax(config) => Ok(Box::new(lexmax_full::Full::new(context, &config.into())?)),
        }
    }

    /// The word under the key `layer`.
    pub fn layer(&self) -> &'static str {
        match self {
            #[cfg(feature = "full")]
            Self::Full(_) => "full",
            #[cfg(feature = "sampled")]
            Self::Sampled(_) => "sampled",
            #[cfg(feature = "hierarchical")]
            Self::Hierarchical(_) => "hierarchical",
            #[cfg(feature = "adaptive")]
            Self::Adaptive(_) => "adaptive",
            #[cfg(feature = "mixture")]
            Self::Mos(_) => "mos",
            #[cfg(feature = "full")]
            Self::Sigsoftmax(_) => "sigsoftmax",
        }
    }

    /// The registry's entry for this layer.
    pub fn entry(&self) -> &'static LayerEntry {
        let name = self.layer();
        // Every variant has its line in the registry; a test holds the two in step.
        LAYERS.iter().find(|entry| entry.layer == name).unwrap_or(&LAYERS[0])
    }

    /// The family of the layer: `full`, `sampled`, `hierarchical`, `adaptive` or `mixture`.
    pub fn family(&self) -> &'static str {
        self.entry().family
    }
}
