//! Training counts of the classes, sorted by falling frequency.

use crate::{OutputError, Result};

/// How often each class occurs in training: `V` counts that never rise (class 0 is the most
/// frequent).
#[derive(Debug, Clone, PartialEq)]
pub struct WordCounts {
    counts: Vec<u64>,
    total: f64,
}

impl WordCounts {
    /// Checks that the counts fall (or stay) with the rank and that something was counted.
    ///
    /// # Errors
    /// No classes, counts that rise (with the first such id), or nothing counted.
    pub fn new(counts: Vec<u64>) -> Result<Self> {
        let op = "word counts";
        if counts.is_empty() {
            return Err(OutputError::argument(op, "counts", "empty", "one count for each class"));
        }
        if let Some(id) = (1..counts.len()).find(|&id| counts[id] > counts[id - 1]) {
            let given = format!("{} at id {id} after {}", counts[id], counts[id - 1]);
            return Err(OutputError::argument(op, "counts", given, "counts sorted by falling frequency"));
        }
        let total = counts.iter().map(|&count| count as f64).sum::<f64>();
        if total == 0.0 {
            return Err(OutputError::argument(op, "counts", "all zero", "at least one count above zero"));
        }
        Ok(Self { counts, total })
    }

    /// Number of classes.
    pub fn vocab_size(&self) -> i64 {
        self.counts.len() as i64
    }

    /// The counts by id.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Sum of all counts, in f64.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Log of the empirical prior, `log(count / total)`. A class that was never seen counts as half
    /// an occurrence, so that every logarithm is finite.
    pub fn log_prior(&self) -> Vec<f64> {
        self.counts.iter().map(|&count| ((count as f64).max(0.5) / self.total).ln()).collect()
    }

    /// Add-one probabilities `(count + 1) / (total + V)`: positive for every class.
    pub fn smoothed_probs(&self) -> Vec<f64> {
        let denominator = self.total + self.counts.len() as f64;
        self.counts.iter().map(|&count| (count as f64 + 1.0) / denominator).collect()
    }
}
