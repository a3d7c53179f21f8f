//! Timed work: a layer, a task and sizes, by the names that the command line and the stored lines
//! use.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use lexmax::OutputConfig;
use serde::{Deserialize, Serialize};

/// A layer with the options of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Exact softmax.
    Full,
    /// Adaptive softmax with the cutoffs 2,000 and 10,000.
    Adaptive,
    /// Sampled softmax with 1,024 log-uniform negatives that all rows share.
    Sampled,
    /// Sampled softmax with draws without replacement, as TensorFlow's are.
    SampledUnique,
    /// Noise-contrastive estimation with as many.
    Nce,
    /// Huffman tree.
    Huffman,
    /// Two-level classes.
    TwoLevel,
    /// Mixture of ten softmaxes.
    Mos,
    /// Sigsoftmax.
    Sigsoftmax,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::Adaptive,
        Self::Sampled,
        Self::SampledUnique,
        Self::Nce,
        Self::Huffman,
        Self::TwoLevel,
        Self::Mos,
        Self::Sigsoftmax,
    ];

    /// The configuration, as it stands in an experiment file; cutoffs that `classes` do not reach
    /// are left out.
    ///
    /// # Errors
    /// The configuration is none: a defect of this table.
    pub fn config(self, classes: i64) -> Result<OutputConfig> {
        let cutoffs: Vec<i64> = [2000, 10_000].into_iter().filter(|cutoff| *cutoff < classes).collect();
        let text = match self {
            Self::Full => r#"{"layer": "full"}"#.to_owned(),
            Self::Adaptive => format!(r#"{{"layer": "adaptive", "cutoffs": {cutoffs:?}}}"#),
            Self::Sampled => r#"{"layer": "sampled", "samples": 1024}"#.to_owned(),
            Self::SampledUnique => r#"{"layer": "sampled", "samples": 1024, "unique": true}"#.to_owned(),
            Self::Nce => r#"{"layer": "sampled", "objective": "nce", "samples": 1024}"#.to_owned(),
            Self::Huffman => r#"{"layer": "hierarchical", "tree": "huffman"}"#.to_owned(),
            Self::TwoLevel => r#"{"layer": "hierarchical", "tree": "two-level"}"#.to_owned(),
            Self::Mos => r#"{"layer": "mos", "components": 10}"#.to_owned(),
            Self::Sigsoftmax => r#"{"layer": "sigsoftmax"}"#.to_owned(),
        };
        serde_json::from_str(&text).with_context(|| format!("the configuration {text}"))
    }

    /// The name on the command line and in stored lines.
    pub fn name(self) -> String {
        name(self)
    }
}

/// Task of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Loss and gradients of one batch.
    Train,
    /// Loss, gradients and the update by SGD, row-sparse where the layer gives such gradients.
    Step,
    /// A whole step of a language model with the layer: an LSTM of two layers and the width of `D`,
    /// on windows of 35 ids.
    LanguageModel,
    /// Exact log-probabilities of the targets.
    Evaluate,
    /// The exact ten most probable classes of each row.
    #[value(name = "top-10")]
    #[serde(rename = "top-10")]
    TopTen,
}

impl Task {
    /// The name on the command line and in stored lines.
    pub fn name(self) -> String {
        name(self)
    }

    /// Matrix products of hidden states, weight and logits that an exact softmax cannot do without.
    pub fn products(self) -> usize {
        match self {
            Self::Train | Self::Step | Self::LanguageModel => 3,
            Self::Evaluate | Self::TopTen => 1,
        }
    }
}

fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Rows, width and classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct Sizes {
    /// Rows of a batch, `N`.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub rows: i64,
    /// Width of the hidden states, `D`.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub width: i64,
    /// Classes, `V`.
    #[arg(long, value_parser = clap::value_parser!(i64).range(2..))]
    pub classes: i64,
}

/// One piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct Work {
    /// The output layer.
    #[arg(long)]
    pub layer: Layer,
    /// Task of the layer.
    #[arg(long)]
    pub task: Task,
    /// Sizes of the case.
    #[command(flatten)]
    #[serde(flatten)]
    pub sizes: Sizes,
}
