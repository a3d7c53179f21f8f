//! Final ids of classes and words, by falling training count.

use std::cmp::Reverse;
use std::fmt::Write;
use std::sync::Arc;

use crate::WordOptions;
use crate::repeats::Part;
use crate::rows::{Names, hash_of_label};

/// Names by id with their training counts, and the id of each provisional one.
pub(crate) struct Ids {
    names: Vec<Arc<str>>,
    counts: Vec<u64>,
    id_of: Vec<u32>,
    /// Id of the unknown word, where there is one.
    pub(crate) unk: Option<u32>,
}

/// Provisional id of a name that has no id of its own.
const NONE: u32 = u32::MAX;

impl Ids {
    /// Classes of all parts by falling count of the training labels, ties by the hash of the label:
    /// names that sort by subject would make neighbours of related classes.
    pub(crate) fn of_classes(labels: &Names, train: &[u32], held: [Part<'_>; 2]) -> Ids {
        let mut counts = vec![0_u64; labels.all().len()];
        let mut used = vec![false; counts.len()];
        for &label in train {
            counts[label as usize] += 1;
            used[label as usize] = true;
        }
        for label in held.into_iter().flat_map(Part::labels) {
            used[label as usize] = true;
        }
        let mut order: Vec<usize> = (0..counts.len()).filter(|&label| used[label]).collect();
        let hashes: Vec<u64> = labels.all().iter().map(|label| hash_of_label(label)).collect();
        order.sort_unstable_by_key(|&label| (Reverse(counts[label]), hashes[label], &labels.all()[label]));
        Ids::in_order(labels, &counts, &order)
    }

    /// Words of the training rows by falling count, ties in byte order; those below `min_count`
    /// become the unknown word.
    pub(crate) fn of_words(
        words: &Names,
        train: Part<'_>,
        held: [Part<'_>; 2],
        options: &WordOptions,
    ) -> Ids {
        let mut counts = vec![0_u64; words.all().len()];
        let mut unknown = 0;
        for row in train.words() {
            // A row without words becomes one unknown word.
            unknown += u64::from(row.is_empty());
            for &word in row {
                counts[word as usize] += 1;
            }
        }
        let is_unk = |word: usize| *words.all()[word] == *options.unk;
        let mut order = Vec::new();
        for (word, &count) in counts.iter().enumerate() {
            if is_unk(word) || (count > 0 && count < options.min_count) {
                unknown += count;
            } else if count > 0 {
                order.push(word);
            }
        }
        let by_count = |&word: &usize| (Reverse(counts[word]), &words.all()[word]);
        order.sort_unstable_by_key(by_count);
        let mut ids = Ids::in_order(words, &counts, &order);
        let lacks = |row: &[u32]| row.is_empty() || row.iter().any(|&word| ids.id_of[word as usize] == NONE);
        if unknown > 0 || held.into_iter().flat_map(Part::words).any(lacks) {
            ids.insert_unk(&options.unk, unknown);
        }
        ids
    }

    fn in_order(names: &Names, counts: &[u64], order: &[usize]) -> Ids {
        let mut id_of = vec![NONE; counts.len()];
        for (id, &name) in (0..).zip(order) {
            id_of[name] = id;
        }
        Ids {
            names: order.iter().map(|&name| Arc::clone(&names.all()[name])).collect(),
            counts: order.iter().map(|&name| counts[name]).collect(),
            id_of,
            unk: None,
        }
    }

    /// Puts the unknown word at its place by count, and behind words of equal count that precede it
    /// in byte order.
    fn insert_unk(&mut self, unk: &str, count: u64) {
        let key = (Reverse(count), unk);
        let before = |at: &usize| (Reverse(self.counts[*at]), &*self.names[*at]) < key;
        let at = (0..self.names.len()).take_while(before).count();
        self.names.insert(at, Arc::from(unk));
        self.counts.insert(at, count);
        for id in self.id_of.iter_mut().filter(|id| **id != NONE && **id as usize >= at) {
            *id += 1;
        }
        self.unk = u32::try_from(at).ok();
    }

    /// Final id of a provisional one; the unknown word where it has none.
    pub(crate) fn get(&self, provisional: u32) -> u32 {
        let id = self.id_of[provisional as usize];
        if id == NONE { self.unk.unwrap_or(NONE) } else { id }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Lines `name TAB count`, by id.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for (name, count) in self.names.iter().zip(&self.counts) {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{name}\t{count}");
        }
        table
    }
}
