//! Texts that stand twice: within the training part, and in a held-out part too.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::rows::Rows;

/// Rows of one part as read, by index.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) kept: &'a [usize],
}

impl<'a> Part<'a> {
    pub(crate) fn words(self) -> impl Iterator<Item = &'a [u32]> {
        self.kept.iter().map(move |&row| self.rows.words(row))
    }

    pub(crate) fn labels(self) -> impl Iterator<Item = u32> {
        self.kept.iter().map(move |&row| self.rows.labels[row])
    }
}

/// Repeats of one part. Texts are compared by their words after cleaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatCounts {
    /// Rows that repeat a text with its label: of train an earlier row, of valid and test a row of
    /// train.
    pub same_label: u64,
    /// Rows that repeat a text only with another label.
    pub other_label: u64,
}

impl RepeatCounts {
    /// Rows that repeat a text.
    pub fn rows(&self) -> u64 {
        self.same_label + self.other_label
    }
}

/// Repeats within the training part.
pub(crate) fn within(part: Part<'_>) -> RepeatCounts {
    let mut counts = RepeatCounts::default();
    let (mut texts, mut pairs) = (HashSet::new(), HashSet::new());
    for (words, label) in part.words().zip(part.labels()) {
        let new_text = texts.insert(words);
        let new_pair = pairs.insert((words, label));
        match (new_text, new_pair) {
            (true, _) => {}
            (false, true) => counts.other_label += 1,
            (false, false) => counts.same_label += 1,
        }
    }
    counts
}

/// Rows of a held-out part that stand in train, by their place in the part, and their number.
pub(crate) fn leaks(train: Part<'_>, held: Part<'_>) -> (Vec<u32>, RepeatCounts) {
    let mut labels_of: HashMap<&[u32], Vec<u32>> = HashMap::new();
    for (words, label) in train.words().zip(train.labels()) {
        let labels = labels_of.entry(words).or_default();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let (mut places, mut counts) = (Vec::new(), RepeatCounts::default());
    for (place, (words, label)) in (0..).zip(held.words().zip(held.labels())) {
        if let Some(labels) = labels_of.get(words) {
            places.push(place);
            if labels.contains(&label) {
                counts.same_label += 1;
            } else {
                counts.other_label += 1;
            }
        }
    }
    (places, counts)
}

/// Training rows that repeat no earlier row with its label, and stand in no held-out part.
pub(crate) fn without_repeats(train: &Rows, held: [&Rows; 2]) -> Vec<usize> {
    let held: HashSet<&[u32]> =
        held.iter().flat_map(|rows| (0..rows.len()).map(|row| rows.words(row))).collect();
    let mut seen = HashSet::new();
    let is_new = |&row: &usize| {
        let words = train.words(row);
        !held.contains(words) && seen.insert((words, train.labels[row]))
    };
    (0..train.len()).filter(is_new).collect()
}
