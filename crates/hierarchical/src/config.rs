//! Configuration of the tree layers.

use lexmax_output::{LayerSizes, LossOptions, OutputError, Result};
use serde::{Deserialize, Serialize};

use crate::NAME;

/// Options of the tree layers; the defaults give a Huffman tree with biases.
///
/// There is no weight tying: the vectors belong to inner nodes (in binary trees) or to words within
/// a class, whose logits are comparable inside that class only, and neither is what an input
/// embedding holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HierarchicalConfig {
    /// The tree.
    pub tree: TreeKind,
    /// Number of classes `C` of the two-level tree; `ceil(sqrt V)` where it is not given.
    pub classes: Option<i64>,
    /// How the two-level tree cuts the ids into classes; [`Bins::SqrtCount`] where it is not given.
    pub bins: Option<Bins>,
    /// Whether inner nodes, classes and words have a bias.
    pub bias: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

impl Default for HierarchicalConfig {
    fn default() -> Self {
        Self { tree: TreeKind::Huffman, classes: None, bins: None, bias: true, loss: LossOptions::default() }
    }
}

/// Shape of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TreeKind {
    /// The binary tree with the shortest mean path under the training counts.
    #[default]
    Huffman,
    /// A binary tree whose paths all have length `floor(log2 V)` or `ceil(log2 V)`.
    Balanced,
    /// Classes of consecutive ids, then the words of a class.
    TwoLevel,
}

/// How consecutive ids are cut into classes of about equal mass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bins {
    /// The mass of a word is its count (Mikolov et al. 2011): the classes are equally probable, and
    /// the last are large.
    Count,
    /// The mass of a word is the square root of its count, as in Mikolov's RNNLM toolkit: the
    /// classes are closer in size, which makes the loss cheaper.
    #[default]
    SqrtCount,
    /// Every word weighs the same: classes of equal size, no counts needed.
    Size,
}

impl HierarchicalConfig {
    /// Number of classes of a two-level tree over `vocab_size` words.
    pub fn class_count(&self, vocab_size: i64) -> i64 {
        // The square root of an i64 below 2^52 is right to the last bit, so the ceiling is too.
        self.classes.unwrap_or_else(|| (vocab_size as f64).sqrt().ceil() as i64)
    }

    /// Checks everything about the layer that can be known before it is built.
    ///
    /// # Errors
    /// As [`LayerSizes::check`] and [`HierarchicalConfig::validate`].
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        sizes.check(NAME, &self.loss)?;
        sizes.refuse_bf16(NAME, "a tree's choices are dot products, computed in f32")?;
        self.validate(sizes.vocab_size)
    }

    /// Checks the options against the size of the vocabulary.
    ///
    /// # Errors
    /// A number of classes outside `1..=V`; an option of the two-level tree with a binary one.
    pub fn validate(&self, vocab_size: i64) -> Result<()> {
        if self.tree != TreeKind::TwoLevel {
            let why = "a binary tree has no classes; it belongs to `tree = \"two-level\"`";
            if self.classes.is_some() {
                return Err(OutputError::refused(NAME, "classes", why));
            }
            if self.bins.is_some() {
                return Err(OutputError::refused(NAME, "bins", why));
            }
            return Ok(());
        }
        let classes = self.class_count(vocab_size);
        if !(1..=vocab_size).contains(&classes) {
            return Err(OutputError::argument(
                NAME,
                "classes",
                classes,
                format!("1 <= classes <= {vocab_size}"),
            ));
        }
        Ok(())
    }
}
