//! The inputs of every case. Targets follow Zipf's law and are the same ids in every language;
//! hidden states are standard normal.

use anyhow::Result;
use lexmax::kernels::seed::generator;
use lexmax::output::WordCounts;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

use crate::Sizes;

/// The fractional part of the golden ratio: its multiples fill the unit interval evenly, in any
/// language.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Hidden states `[N, D]`.
///
/// # Errors
/// libtorch refused.
pub fn hidden(sizes: Sizes) -> Result<Tensor> {
    let mut rng = generator(1, "bench/hidden", 0);
    let values: Vec<f32> = (0..sizes.rows * sizes.width).map(|_| StandardNormal.sample(&mut rng)).collect();
    Ok(Tensor::f_from_slice(&values)?.f_view([sizes.rows, sizes.width])?)
}

/// Targets `[N]`: the quantiles `frac((i + 1) phi)` of Zipf's law `p(id) ~ 1 / (id + 1)`. No
/// generator is drawn from, so the scripts of the other packages have the same ids.
///
/// # Errors
/// libtorch refused.
pub fn targets(sizes: Sizes) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(&zipf_ids(sizes.rows, sizes.classes))?)
}

/// The ids of [`targets`].
pub fn zipf_ids(rows: i64, classes: i64) -> Vec<i64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=classes)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    (1..=rows)
        .map(|i| {
            let mass = (i as f64 * GOLDEN).fract() * sum;
            (sums.partition_point(|upto| *upto <= mass) as i64).min(classes - 1)
        })
        .collect()
}

/// Training counts by Zipf's law, for layers that need them.
///
/// # Errors
/// The counts are none: a defect of the formula.
pub fn counts(classes: i64) -> Result<WordCounts> {
    Ok(WordCounts::new((0..classes).map(|id| 1 + (1e9 / (id as f64 + 2.7)) as u64).collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_scripts_and_follow_zipf() {
        // The same numbers stand in benches/peers/test_measure.py.
        assert_eq!(zipf_ids(8, 10_000), [237, 5, 2397, 56, 0, 574, 13, 5795]);
        let ids = zipf_ids(10_000, 1000);
        let share = |id| ids.iter().filter(|other| **other == id).count() as f64 / 10_000.0;
        // H(1000) = 7.48547.
        assert!((share(0) - 1.0 / 7.485_47).abs() < 1e-3 && (share(1) - 0.5 / 7.485_47).abs() < 1e-3);
        assert!(ids.iter().all(|id| (0..1000).contains(id)));
    }
}
