//! The squared norm of a gradient.

use super::element::RowElement;
use super::worth;
use crate::Level;
use crate::pool::on_each;

/// Numbers whose squares make one term of the sum.
const RUN: usize = 4096;
/// Sums of a run that go on side by side: two vector registers of f64.
const LANES: usize = 16;

/// `sum_i g_i^2`, squares and sums in f64, so that those of an f32 gradient neither leave the range nor get lost in a long sum.
///
/// Cost: one pass. At most `threads` threads work; the order of the additions is fixed, so the bits are the same on any number of
/// them.
///
/// ```
/// use lexmax_kernels::rows::square_sum;
///
/// assert_eq!(square_sum(&[3e30_f32, 4e30], 1).sqrt() as f32, 5e30);
/// ```
pub fn square_sum<T: RowElement>(values: &[T], threads: usize) -> f64 {
    square_sum_at(Level::best(), values, threads)
}

pub(super) fn square_sum_at<T: RowElement>(level: Level, values: &[T], threads: usize) -> f64 {
    let mut runs = vec![0.0; values.len().div_ceil(RUN)];
    let own = runs.len().div_ceil(worth(threads, values.len())).max(1);
    let mut jobs: Vec<_> = runs
        .chunks_mut(own)
        .zip(values.chunks(own * RUN))
        .map(|(sums, values)| Squares { values, sums })
        .collect();
    on_each(&mut jobs, |job| T::square(level, job));
    runs.iter().sum()
}

/// One thread's part: some runs, and the sum of each.
pub struct Squares<'a, T> {
    values: &'a [T],
    sums: &'a mut [f64],
}

#[inline(always)]
pub(super) fn square<T: RowElement>(job: &mut Squares<'_, T>) {
    for (sum, run) in job.sums.iter_mut().zip(job.values.chunks(RUN)) {
        let mut lanes = [0.0_f64; LANES];
        let (whole, rest) = run.as_chunks::<LANES>();
        for values in whole {
            for (lane, value) in lanes.iter_mut().zip(values) {
                let value = value.to_f64();
                *lane += value * value;
            }
        }
        for (lane, value) in lanes.iter_mut().zip(rest) {
            let value = value.to_f64();
            *lane += value * value;
        }
        *sum = lanes.iter().sum();
    }
}
