//! Counted baselines: classifiers that are counts of the training part, without a model to train.
//!
//! A model below its baseline is broken, so every comparison of models starts with these.

mod naive_bayes;
mod popular;

pub use naive_bayes::{NaiveBayes, Prior};
pub use popular::Popular;

use crate::Examples;

/// Counts of training examples by class, from any classes and their number.
fn class_counts(train: Examples<'_>, classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for class in train.classes() {
        counts[*class as usize] += 1;
    }
    counts
}
