//! Configuration of the adaptive softmax.

use lexmax_output::{LayerSizes, LossOptions, OutputError, Result};
use serde::{Deserialize, Serialize};

use crate::NAME;
use crate::partition::clusters;

/// Options of [`crate::Adaptive`]; the defaults, without cutoffs, give the plain softmax with a
/// bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConfig {
    /// First ids of the clusters, rising, each in `1..V`: ids below the first make the shortlist,
    /// ids from `cutoffs[i]` to `cutoffs[i + 1]` (to `V` for the last) make cluster `i`. None: a
    /// shortlist of all classes.
    pub cutoffs: Vec<i64>,
    /// Cluster `i` has width `max(1, floor(D / div_value^(i + 1)))`.
    pub div_value: f64,
    /// Whether the words of the shortlist and the clusters have a bias in the head.
    pub head_bias: bool,
    /// Whether the words of the clusters have a bias.
    pub tail_bias: bool,
    /// Sharing the input embedding is refused: its rows have one width, those of the clusters have
    /// others.
    pub tied: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self {
            cutoffs: Vec::new(),
            div_value: 4.0,
            head_bias: true,
            tail_bias: false,
            tied: false,
            loss: LossOptions::default(),
        }
    }
}

impl AdaptiveConfig {
    /// The defaults with the first ids of the clusters, [`AdaptiveConfig::cutoffs`].
    pub fn with_cutoffs(cutoffs: impl Into<Vec<i64>>) -> Self {
        Self { cutoffs: cutoffs.into(), ..Self::default() }
    }

    /// Checks everything about the layer that can be known before it is built.
    ///
    /// # Errors
    /// As [`LayerSizes::check`] and [`AdaptiveConfig::validate`]; a divisor that makes a cluster
    /// too wide to be held.
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        sizes.check(NAME, &self.loss)?;
        self.validate(sizes.vocab_size)?;
        clusters(self, sizes.vocab_size, sizes.hidden_size).map(drop)
    }

    /// Checks cutoffs and divisor for `vocab_size` classes.
    ///
    /// # Errors
    /// A cutoff outside `1..V` or not above the one before it, with its position; a divisor that is
    /// not a finite number above zero; tying.
    pub fn validate(&self, vocab_size: i64) -> Result<()> {
        if self.tied {
            let why = "the words of the clusters have narrower weights than the input embedding";
            return Err(OutputError::refused(NAME, "tied", why));
        }
        if !(self.div_value > 0.0 && self.div_value.is_finite()) {
            let expected = "a finite number above zero";
            return Err(OutputError::argument(NAME, "div_value", self.div_value, expected));
        }
        if let Some(at) = self.cutoffs.iter().position(|cutoff| !(1..vocab_size).contains(cutoff)) {
            let given = format!("{} at position {at}", self.cutoffs[at]);
            let expected = format!("1 <= cutoff < {vocab_size}, the number of classes");
            return Err(OutputError::argument(NAME, "cutoffs", given, expected));
        }
        if let Some(at) = self.cutoffs.windows(2).position(|pair| pair[0] >= pair[1]) {
            let (first, second) = (self.cutoffs[at], self.cutoffs[at + 1]);
            let given = format!("{first} followed by {second} at position {}", at + 1);
            return Err(OutputError::argument(NAME, "cutoffs", given, "cutoffs that rise strictly"));
        }
        Ok(())
    }
}
