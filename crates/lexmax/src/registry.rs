//! The list of layers: help texts, tables and legends are made from it.

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

/// Every layer of this build.
pub const LAYERS: &[LayerEntry] = &[
    #[cfg(feature = "full")]
    LayerEntry {
        layer: "full",
        family: "full",
        summary: "exact softmax over all classes, with temperature, soft cap, sigsoftmax, z-loss, focal loss, logit adjustment",
        source: "the definition",
    },
    #[cfg(feature = "sampled")]
    LayerEntry {
        layer: "sampled",
        family: "sampled",
        summary: "trains on sampled negatives (sampled softmax, NCE, negative sampling, one-vs-each), evaluates exactly",
        source: "On Using Very Large Target Vocabulary for Neural Machine Translation, 2015, arXiv 1412.2007",
    },
    #[cfg(feature = "hierarchical")]
    LayerEntry {
        layer: "hierarchical",
        family: "hierarchical",
        summary: "a tree of decisions: Huffman, balanced binary, or two-level classes",
        source: "Hierarchical Probabilistic Neural Network Language Model, 2005",
    },
    #[cfg(feature = "adaptive")]
    LayerEntry {
        layer: "adaptive",
        family: "adaptive",
        summary: "a shortlist at full width and clusters of rare words at shrinking width",
        source: "Efficient softmax approximation for GPUs, 2017, arXiv 1609.04309",
    },
    #[cfg(feature = "mixture")]
    LayerEntry {
        layer: "mos",
        family: "mixture",
        summary: "mixture of K softmaxes, a distribution of higher rank",
        source: "Breaking the Softmax Bottleneck: A High-Rank RNN Language Model, 2018, arXiv 1711.03953",
    },
    #[cfg(feature = "full")]
    LayerEntry {
        layer: "sigsoftmax",
        family: "full",
        summary: "exp(z) sigmoid(z), normalised: more rank without more parameters",
        source: "Sigsoftmax: Reanalysis of the Softmax Bottleneck, 2018, arXiv 1805.10829",
    },
];

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
