//! Training counts cut to a long tail.

use lexmax_kernels::seed::generator;
use rand::seq::SliceRandom;

use crate::rows::{Names, Rows};
use crate::{Shape, Tail};

/// Training counts of `classes` classes in order, from head to tail.
///
/// `n_i = floor(max * ratio^(-i / (C - 1)))`, as CIFAR-10-LT is cut (Cui et al., "Class-Balanced
/// Loss Based on Effective Number of Samples", 2019, arXiv 1901.05555). A value within 1e-9 of the
/// next whole number counts as that, so that `100 * 10^-1` is 10 with any mathematical library. At
/// least 1. Cost: `O(C)`.
///
/// ```
/// use lexmax_dataset::{Tail, tail_counts};
///
/// let counts = tail_counts(&Tail::exponential(100.0, 0), 5000, 10);
/// assert_eq!(counts, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]);
/// ```
pub fn tail_counts(tail: &Tail, max: u64, classes: usize) -> Vec<u64> {
    let Tail { shape: Shape::Exponential, ratio, .. } = *tail;
    let steps = classes.saturating_sub(1).max(1) as f64;
    let count = |at: usize| (max as f64 * ratio.powf(-(at as f64) / steps) + 1e-9).floor();
    (0..classes).map(|at| (count(at) as u64).max(1)).collect()
}

/// Rows that a tail keeps, in their order.
///
/// The order of the classes is a shuffle of their labels in byte order, by the seed. `max` is the
/// count of the largest class; a class with fewer rows than its place in the tail says keeps all.
/// Of each class the rows with the least hashes stay.
pub(crate) fn cut(rows: &Rows, train: &[usize], tail: &Tail, labels: &Names) -> Vec<usize> {
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); labels.all().len()];
    for &row in train {
        by_class[rows.labels[row] as usize].push(row);
    }
    let mut order: Vec<usize> = (0..by_class.len()).filter(|&label| !by_class[label].is_empty()).collect();
    order.sort_unstable_by_key(|&label| &labels.all()[label]);
    order.shuffle(&mut generator(tail.order_seed, "order of the tail", 0));
    let max = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let mut kept = vec![false; rows.len()];
    for (&label, count) in order.iter().zip(tail_counts(tail, max as u64, order.len())) {
        let of_class = &mut by_class[label];
        of_class.sort_by_key(|&row| rows.hashes[row]);
        for &row in of_class.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            kept[row] = true;
        }
    }
    train.iter().copied().filter(|&row| kept[row]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_clinc_and_fashion_are_those_of_the_formula() {
        // Sums, least counts and upper medians of 150 classes of 100 rows.
        for (ratio, sum, least, median) in [(10.0, 5804, 10, 31), (50.0, 3709, 2, 14), (100.0, 3183, 1, 10)] {
            let mut counts = tail_counts(&Tail::exponential(ratio, 1), 100, 150);
            assert_eq!((counts.iter().sum::<u64>(), counts[0], counts[149]), (sum, 100, least));
            counts.sort_unstable();
            assert_eq!(counts[75], median);
        }
        for (ratio, sum) in [(10.0, 20_431), (50.0, 13_996), (100.0, 12_406)] {
            assert_eq!(tail_counts(&Tail::exponential(ratio, 1), 5000, 10).iter().sum::<u64>(), sum);
        }
    }

    #[test]
    fn tail_of_one_class_or_ratio_one_is_flat() {
        assert_eq!(tail_counts(&Tail::exponential(1.0, 1), 7, 3), [7, 7, 7]);
        assert_eq!(tail_counts(&Tail::exponential(50.0, 1), 7, 1), [7]);
        assert_eq!(tail_counts(&Tail::exponential(50.0, 1), 7, 0), [0; 0]);
        // A class never vanishes.
        assert_eq!(tail_counts(&Tail::exponential(1e6, 1), 100, 3), [100, 1, 1]);
    }
}
