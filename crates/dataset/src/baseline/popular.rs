//! The most frequent class, whatever the text.

use super::class_counts;
use crate::Examples;

/// Baseline that gives every text the shares of the classes among the training examples.
///
/// Its first prediction is the most frequent class, and its negative log-likelihood the entropy of
/// the classes where a test part has the shares of training. A class without a training example
/// counts half of one, so that no log-probability is infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Popular {
    log_probs: Vec<f64>,
}

impl Popular {
    /// Counts the classes of the training examples.
    pub fn fit(train: Examples<'_>, classes: usize) -> Popular {
        let counts: Vec<f64> =
            class_counts(train, classes).iter().map(|count| (*count as f64).max(0.5)).collect();
        let all: f64 = counts.iter().sum();
        Popular { log_probs: counts.iter().map(|count| (count / all).ln()).collect() }
    }

    /// Log-probabilities of all classes, the same for each text.
    pub fn log_probs(&self) -> &[f64] {
        &self.log_probs
    }
}
