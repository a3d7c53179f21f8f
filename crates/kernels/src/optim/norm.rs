//! The squared norm of a gradient.

use super::worth;
use crate::pool::on_each;
use crate::simd::{Kernel, Vector, dispatch};
use crate::{Element, Level};

/// Numbers whose squares make one term of the sum.
const RUN: usize = 4096;
/// Sums of a run that go on side by side: two vector registers of f64.
const LANES: usize = 16;

/// `sum_i g_i^2`, squares and sums in f64, so that those of an f32 gradient neither leave the range
/// nor get lost in a long sum.
///
/// Cost: one pass. At most `threads` threads work; the order of the additions is fixed, so the bits
/// are the same on any number of them.
///
/// ```
/// use lexmax_kernels::optim::square_sum;
///
/// assert_eq!(square_sum(&[3e30_f32, 4e30], 1).sqrt() as f32, 5e30);
/// ```
pub fn square_sum<T: Element>(values: &[T], threads: usize) -> f64 {
    square_sum_at(Level::best(), values, threads)
}

pub(super) fn square_sum_at<T: Element>(level: Level, values: &[T], threads: usize) -> f64 {
    let mut runs = vec![0.0; values.len().div_ceil(RUN)];
    let own = runs.len().div_ceil(worth(threads, values.len())).max(1);
    let mut jobs: Vec<_> = runs
        .chunks_mut(own)
        .zip(values.chunks(own * RUN))
        .map(|(sums, values)| Squares { values, sums })
        .collect();
    on_each(&mut jobs, |job| dispatch(level, &mut *job));
    runs.iter().sum()
}

/// One thread's part: some runs, and the sum of each.
pub struct Squares<'a, T> {
    values: &'a [T],
    sums: &'a mut [f64],
}

// The compiler vectorises these loops itself: no register is named, and every level gives the same
// bits.
impl<T: Element> Kernel<T> for &mut Squares<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        for (sum, run) in self.sums.iter_mut().zip(self.values.chunks(RUN)) {
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
}
