//! A batch's rows in groups of one class each.

use std::ops::Range;

use crate::error::{KernelError, Result};

/// The rows of a batch sorted by the class of their target; rows of one class keep their order.
///
/// Classes are ranges of consecutive words. Cost: `O(N log N)`. Memory: 20 bytes a row and 56 bytes
/// a class that occurs.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Row of the batch at each position, `[N]`.
    pub(super) order: Vec<u32>,
    /// Class of the target at each position, `[N]`.
    pub(super) classes: Vec<i64>,
    /// Place of the target among the words of its class, `[N]`.
    pub(super) places: Vec<i64>,
    pub(super) groups: Vec<Group>,
    class_count: usize,
    vocab_size: usize,
}

/// The rows of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Its rows, as positions.
    pub positions: Range<usize>,
    /// Its words.
    pub words: Range<usize>,
    /// Its words among those of all groups.
    pub values: Range<usize>,
}

impl Groups {
    /// Groups `targets` `[N]` by classes that start at the words `starts` (`C + 1` numbers that
    /// rise from 0 to `V`).
    ///
    /// # Errors
    /// A target that names no word; starts that do not rise from zero.
    pub fn new(starts: &[i64], targets: &[i64]) -> Result<Self> {
        let op = "two_level.groups";
        let rising = starts.windows(2).all(|pair| pair[0] < pair[1]);
        if starts.len() < 2 || starts[0] != 0 || !rising {
            let given = format!("{} numbers", starts.len());
            return Err(KernelError::argument(op, "starts", given, "C + 1 numbers that rise from 0 to V"));
        }
        let word = |index: usize| usize::try_from(starts[index]).unwrap_or(0);
        let vocab_size = word(starts.len() - 1);
        if targets.len() >= u32::MAX as usize {
            return Err(KernelError::argument(op, "rows", targets.len(), "a number of 32 bits"));
        }
        let mut keyed = Vec::with_capacity(targets.len());
        for (row, &given) in targets.iter().enumerate() {
            if !usize::try_from(given).is_ok_and(|target| target < vocab_size) {
                return Err(KernelError::Target { op, row, given, vocab_size, or_ignored: String::new() });
            }
            keyed.push((starts.partition_point(|&start| start <= given) - 1, row as u32));
        }
        keyed.sort_unstable();
        let mut groups: Vec<Group> = Vec::new();
        let mut values = 0;
        for (start, rows) in keyed.chunk_by(|a, b| a.0 == b.0).scan(0, |next, rows| {
            *next += rows.len();
            Some((*next - rows.len(), rows))
        }) {
            let words = word(rows[0].0)..word(rows[0].0 + 1);
            let count = words.len();
            groups.push(Group {
                positions: start..start + rows.len(),
                words,
                values: values..values + count,
            });
            values += count;
        }
        Ok(Self {
            classes: keyed.iter().map(|&(class, _)| class as i64).collect(),
            places: keyed.iter().map(|&(class, row)| targets[row as usize] - starts[class]).collect(),
            order: keyed.into_iter().map(|(_, row)| row).collect(),
            groups,
            class_count: starts.len() - 1,
            vocab_size,
        })
    }

    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.order.len()
    }

    /// The words of the classes that occur, rising: `R` in all. Gradients of the words have one row
    /// for each of these.
    pub fn words(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().flat_map(|group| group.words.clone())
    }

    /// Number of touched words, `R`.
    pub fn word_count(&self) -> usize {
        self.groups.last().map_or(0, |group| group.values.end)
    }

    /// Number of classes, `C`.
    pub(super) fn class_count(&self) -> usize {
        self.class_count
    }

    /// Number of words, `V`.
    pub(super) fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Scores that a group takes.
    fn work(&self, group: &Group) -> usize {
        group.positions.len() * (self.class_count + group.words.len())
    }

    /// Groups of each of `threads` threads: neighbours, with about the same work each. One share of
    /// all groups where the largest group is so much of the work that threads do better to share
    /// each group.
    pub(super) fn shares(&self, threads: usize) -> Vec<Range<usize>> {
        let total: usize = self.groups.iter().map(|group| self.work(group)).sum();
        let largest = self.groups.iter().map(|group| self.work(group)).max().unwrap_or(0);
        let all = self.groups.len();
        if one_by_one(largest, total, threads) {
            return std::iter::once(0..all).collect();
        }
        let (mut ends, mut done) = (Vec::with_capacity(threads), 0);
        for (index, group) in self.groups.iter().enumerate() {
            done += self.work(group);
            while ends.len() < threads && done * threads >= total * (ends.len() + 1) {
                ends.push(index + 1);
            }
        }
        let mut start = 0;
        let shares = ends.into_iter().map(|end| std::mem::replace(&mut start, end)..end);
        shares.filter(|share| !share.is_empty()).collect()
    }
}

/// Whether threads do better to share each piece of work, one after the other, than to take pieces
/// of their own: where the largest piece is more than one and a half of their equal shares. At two
/// threads that is three quarters of all.
pub(super) fn one_by_one(largest: usize, total: usize, threads: usize) -> bool {
    threads < 2 || 2 * largest * threads > 3 * total
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::Groups;

    proptest! {
        #[test]
        fn groups_cover_the_rows_and_shares_cover_the_groups(
            sizes in prop::collection::vec(1..40_i64, 1..30), draws in prop::collection::vec(0.0..1.0_f64, 0..200), threads in 1..5_usize,
        ) {
            let mut starts = vec![0];
            for size in sizes {
                starts.push(starts[starts.len() - 1] + size);
            }
            let vocab = starts[starts.len() - 1];
            let targets: Vec<i64> = draws.iter().map(|u| (u * vocab as f64) as i64).collect();
            let groups = Groups::new(&starts, &targets).unwrap();
            let mut seen = vec![0; targets.len()];
            for group in &groups.groups {
                for position in group.positions.clone() {
                    let row = groups.order[position] as usize;
                    seen[row] += 1;
                    let target = group.words.start as i64 + groups.places[position];
                    prop_assert_eq!(target, targets[row]);
                    prop_assert_eq!(starts[groups.classes[position] as usize], group.words.start as i64);
                    prop_assert!(group.words.contains(&(target as usize)));
                }
            }
            prop_assert!(seen.iter().all(|times| *times == 1));
            let words: Vec<usize> = groups.words().collect();
            prop_assert_eq!(words.len(), groups.word_count());
            prop_assert!(words.windows(2).all(|pair| pair[0] < pair[1]));
            let shares = groups.shares(threads);
            let covered: Vec<usize> = shares.iter().flat_map(|share| share.clone()).collect();
            prop_assert!(covered.into_iter().eq(0..groups.groups.len()));
            prop_assert!(shares.len() <= threads);
        }
    }

    #[test]
    fn heavy_group_is_one_share_and_light_groups_are_divided() {
        let starts: Vec<i64> = (0..=20).map(|class| class * 10).collect();
        let spread: Vec<i64> = (0..200).collect();
        assert_eq!(Groups::new(&starts, &spread).unwrap().shares(2), [0..10, 10..20]);
        let heavy = Groups::new(&starts, &[3; 100]).unwrap().shares(2);
        assert!(heavy.len() == 1 && heavy[0] == (0..1), "{heavy:?}");
    }

    #[test]
    fn bad_input_is_an_error_that_names_it() {
        let says = |starts: &[i64], targets: &[i64]| Groups::new(starts, targets).unwrap_err().to_string();
        assert!(says(&[0, 3, 5], &[1, 5]).contains("target 5 in row 1"));
        assert!(says(&[0, 3, 5], &[-1]).contains("target -1 in row 0"));
        for starts in [&[0][..], &[1, 3], &[0, 3, 3], &[]] {
            assert!(says(starts, &[0]).contains("starts"), "{starts:?}");
        }
    }
}
