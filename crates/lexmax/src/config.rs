//! The table of layers: what a configuration can name, and the layer made from it.

use lexmax_output::{BuildContext, LayerSizes, LossOptions, OutputLayer, Result};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// One layer that a configuration can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerEntry {
    /// The word under the key `layer`.
    pub layer: &'static str,
    /// The family, which is also the cargo feature.
    pub family: &'static str,
    /// One line for help texts.
    pub summary: &'static str,
    /// Title and year of the source, with the arXiv number where there is one.
    pub source: &'static str,
}

/// Makes everything that has one line for each layer from the lines of one table.
macro_rules! layers {
    ($(
        $(#[doc = $doc:expr])*
        $variant:ident($config:ty) {
            layer: $layer:literal,
            family: $family:literal,
            summary: $summary:literal,
            source: $source:literal,
            build: $constructor:path => $boxed:path,
        }
    )*) => {
        /// Configuration of an output layer: the key `layer` names it, the other keys are the
        /// options of that layer.
        ///
        /// ```
        /// let config: lexmax::OutputConfig = toml::from_str("layer = \"full\"\nsoft_cap = 30.0")?;
        /// assert_eq!(config.family(), "full");
        /// let error = toml::from_str::<lexmax::OutputConfig>("layer = \"full\"\nsoftcap = 30.0").unwrap_err();
        /// assert!(error.to_string().contains("unknown field `softcap`"));
        /// # Ok::<(), toml::de::Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "layer")]
        #[non_exhaustive]
        pub enum OutputConfig {
            $(
                $(#[doc = $doc])*
                #[cfg(feature = $family)]
                #[serde(rename = $layer)]
                $variant($config),
            )*
        }

        /// Every layer of this build: help texts, tables and legends are made from it.
        pub const LAYERS: &[LayerEntry] = &[
            $(
                #[cfg(feature = $family)]
                LayerEntry { layer: $layer, family: $family, summary: $summary, source: $source },
            )*
        ];

        /// The words that the key `layer` may hold.
        const NAMES: &[&str] = &[$(#[cfg(feature = $family)] $layer,)*];

        impl OutputConfig {
            /// Reads the options of the layer of a name, for readers that keep the place of a
            /// mistake: serde's own way through the key `layer` loses it.
            ///
            /// # Errors
            /// A name that no layer has; options that do not fit, as the deserializer tells them.
            pub fn with_options<'de, D>(layer: &str, options: D) -> std::result::Result<Self, D::Error>
            where
                D: Deserializer<'de>,
            {
                match layer {
                    $(
                        #[cfg(feature = $family)]
                        $layer => <$config>::deserialize(options).map(Self::$variant),
                    )*
                    other => Err(D::Error::unknown_variant(other, NAMES)),
                }
            }

            /// Checks the configuration as the layer's constructor does, without building anything.
            ///
            /// # Errors
            /// The first option out of its range, or one that the layer cannot honour, by name.
            pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
                match self {
                    $(
                        #[cfg(feature = $family)]
                        Self::$variant(config) => config.check(sizes),
                    )*
                }
            }

            /// Builds the layer; its parameters are registered in the context's path.
            ///
            /// # Errors
            /// An option out of its range or one that the layer cannot honour, by name.
            pub fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn OutputLayer>> {
                match self {
                    $(
                        #[cfg(feature = $family)]
                        Self::$variant(config) => $constructor(context, config).map($boxed),
                    )*
                }
            }

            /// Options of the loss, which all layers share.
            pub fn loss_options(&self) -> &LossOptions {
                match self {
                    $(
                        #[cfg(feature = $family)]
                        Self::$variant(config) => &config.loss,
                    )*
                }
            }

            /// The registry's entry for this layer.
            pub fn entry(&self) -> &'static LayerEntry {
                match self {
                    $(
                        #[cfg(feature = $family)]
                        Self::$variant(_) => {
                            &LayerEntry { layer: $layer, family: $family, summary: $summary, source: $source }
                        }
                    )*
                }
            }
        }
    };
}

layers! {
    /// Exact softmax, [`lexmax_full::Full`].
    Full(lexmax_full::FullConfig) {
        layer: "full",
        family: "full",
        summary: "exact softmax over all classes, with temperature, soft cap, sigsoftmax, z-loss, focal loss, logit adjustment",
        source: "the definition",
        build: lexmax_full::Full::new => boxed,
    }
    /// Sampled softmax, NCE, negative sampling or one-vs-each, [`lexmax_sampled::Sampled`].
    Sampled(lexmax_sampled::SampledConfig) {
        layer: "sampled",
        family: "sampled",
        summary: "trains on sampled negatives (sampled softmax, NCE, negative sampling, one-vs-each), evaluates exactly",
        source: "On Using Very Large Target Vocabulary for Neural Machine Translation, 2015, arXiv 1412.2007",
        build: lexmax_sampled::Sampled::new => boxed,
    }
    /// Huffman, balanced or two-level tree, [`lexmax_hierarchical`].
    Hierarchical(lexmax_hierarchical::HierarchicalConfig) {
        layer: "hierarchical",
        family: "hierarchical",
        summary: "a tree of decisions: Huffman, balanced binary, or two-level classes",
        source: "Hierarchical Probabilistic Neural Network Language Model, 2005",
        build: lexmax_hierarchical::build => std::convert::identity,
    }
    /// Adaptive softmax, [`lexmax_adaptive::Adaptive`].
    Adaptive(lexmax_adaptive::AdaptiveConfig) {
        layer: "adaptive",
        family: "adaptive",
        summary: "a shortlist at full width and clusters of rare words at shrinking width",
        source: "Efficient softmax approximation for GPUs, 2017, arXiv 1609.04309",
        build: lexmax_adaptive::Adaptive::new => boxed,
    }
    /// Mixture of softmaxes, [`lexmax_mixture::Mixture`].
    Mos(lexmax_mixture::MixtureConfig) {
        layer: "mos",
        family: "mixture",
        summary: "mixture of K softmaxes, a distribution of higher rank",
        source: "Breaking the Softmax Bottleneck: A High-Rank RNN Language Model, 2018, arXiv 1711.03953",
        build: lexmax_mixture::Mixture::new => boxed,
    }
    /// Exact softmax under the transform sigsoftmax, [`lexmax_full::Full`] by another name.
    Sigsoftmax(lexmax_full::SigsoftmaxConfig) {
        layer: "sigsoftmax",
        family: "full",
        summary: "exp(z) sigmoid(z), normalised: more rank without more parameters",
        source: "Sigsoftmax: Reanalysis of the Softmax Bottleneck, 2018, arXiv 1805.10829",
        build: sigsoftmax => boxed,
    }
}

impl OutputConfig {
    /// The word under the key `layer`.
    pub fn layer(&self) -> &'static str {
        self.entry().layer
    }

    /// The family of the layer: `full`, `sampled`, `hierarchical`, `adaptive` or `mixture`.
    pub fn family(&self) -> &'static str {
        self.entry().family
    }
}

/// The exact softmax that the name `sigsoftmax` stands for.
#[cfg(feature = "full")]
fn sigsoftmax(
    context: &BuildContext<'_>,
    config: &lexmax_full::SigsoftmaxConfig,
) -> Result<lexmax_full::Full> {
    lexmax_full::Full::new(context, &config.into())
}

/// A layer behind the trait.
// A hierarchical configuration builds a boxed layer itself.
#[cfg(any(feature = "full", feature = "sampled", feature = "adaptive", feature = "mixture"))]
fn boxed<L: OutputLayer + 'static>(layer: L) -> Box<dyn OutputLayer> {
    Box::new(layer)
}

#[cfg(all(test, feature = "sampled"))]
mod tests {
    use super::LAYERS;

    /// Letters alone, in lower case: `OneVsEach` and `one-vs-each` are the same.
    fn letters(text: &str) -> String {
        text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
    }

    #[test]
    fn the_summary_of_the_sampled_layer_names_every_objective() {
        let sampled =
            LAYERS.iter().find(|entry| entry.layer == "sampled").map(|entry| letters(entry.summary));
        for objective in lexmax_sampled::Objective::ALL {
            let named = sampled.iter().any(|summary| summary.contains(&letters(&format!("{objective:?}"))));
            assert!(named, "{objective:?} is not in {sampled:?}");
        }
    }
}
