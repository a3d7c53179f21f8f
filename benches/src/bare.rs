//! Bare matrix products by the crate `gemm`: one floor of a sweep's loss and gradients.
//! [`crate::Floor`] is that of libtorch.

use std::time::Instant;

use lexmax::kernels::linear_ce::Linear;

use crate::clock::processor_seconds;

/// A matrix: its numbers, and how far the next row and the next column are.
pub type Matrix<'a> = (&'a [f32], [usize; 2]);

/// `out = left right` of `[m, k]` and `[k, n]`, the rows of `out` shared by the threads.
///
/// # Panics
/// Where an operand is shorter than its shape says.
pub fn product(out: &mut [f32], [m, n, k]: [usize; 3], left: Matrix<'_>, right: Matrix<'_>, threads: usize) {
    let share = m.div_ceil(threads);
    std::thread::scope(|scope| {
        for (thread, out) in out.chunks_mut(share * n).enumerate() {
            let left_data = &left.0[thread * share * left.1[0]..];
            let mut work = move || {
                let rows = out.len() / n;
                assert!(left_data.len() > (rows - 1) * left.1[0] + (k - 1) * left.1[1]);
                assert!(right.0.len() > (k - 1) * right.1[0] + (n - 1) * right.1[1]);
                // SAFETY: the largest index of each matrix is in its slice; `out` is borrowed for
                // this thread alone.
                unsafe {
                    gemm::gemm(
                        rows,
                        n,
                        k,
                        out.as_mut_ptr(),
                        1,
                        n as isize,
                        false,
                        left_data.as_ptr(),
                        left.1[1] as isize,
                        left.1[0] as isize,
                        right.0.as_ptr(),
                        right.1[1] as isize,
                        right.1[0] as isize,
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            };
            if threads == 1 {
                work();
            } else {
                scope.spawn(work);
            }
        }
    });
}

/// Results of the three products by the crate `gemm`.
#[derive(Debug)]
pub struct GemmFloor {
    logits: Vec<f32>,
    d_hidden: Vec<f32>,
    d_weight: Vec<f32>,
}

impl GemmFloor {
    /// Results of the size of a problem.
    pub fn new(linear: &Linear<'_, f32>) -> Self {
        Self {
            logits: vec![0.0; linear.rows() * linear.vocab_size()],
            d_hidden: vec![0.0; linear.hidden.len()],
            d_weight: vec![0.0; linear.weight.len()],
        }
    }

    /// Time of `H W^T`, and, with that as if it were the gradient of the logits, of `G W` and
    /// `G^T H`.
    pub fn time(&mut self, linear: &Linear<'_, f32>, threads: usize) -> Seconds {
        let (rows, vocab, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
        let (hidden, weight) = (linear.hidden, linear.weight);
        let start = Clock::start();
        product(&mut self.logits, [rows, vocab, size], (hidden, [size, 1]), (weight, [1, size]), threads);
        let logits = &self.logits;
        product(&mut self.d_hidden, [rows, size, vocab], (logits, [vocab, 1]), (weight, [size, 1]), threads);
        product(&mut self.d_weight, [vocab, size, rows], (logits, [1, vocab]), (hidden, [size, 1]), threads);
        start.seconds()
    }
}

impl GemmFloor {
    /// Largest deviation of the last results from sums in f64, for some rows and classes, relative
    /// to the largest number of each result.
    pub fn deviation(&self, linear: &Linear<'_, f32>) -> f64 {
        let (rows, vocab, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
        let (hidden, weight) = (linear.hidden, linear.weight);
        let sum = |len: usize, of: &dyn Fn(usize) -> f64| (0..len).map(of).sum::<f64>();
        let f = |number: f32| f64::from(number);
        let mut largest = [0.0_f64; 3];
        let mut differences = [0.0_f64; 3];
        let mut compare = |which: usize, given: f32, expected: f64| {
            largest[which] = largest[which].max(expected.abs());
            differences[which] = differences[which].max((f(given) - expected).abs());
        };
        for (row, class, d) in [(0, 0, 0), (rows / 2, vocab / 3, size / 2), (rows - 1, vocab - 1, size - 1)] {
            let logit = sum(size, &|d| f(hidden[row * size + d]) * f(weight[class * size + d]));
            compare(0, self.logits[row * vocab + class], logit);
            let of_hidden = sum(vocab, &|c| f(self.logits[row * vocab + c]) * f(weight[c * size + d]));
            compare(1, self.d_hidden[row * size + d], of_hidden);
            let of_weight = sum(rows, &|r| f(self.logits[r * vocab + class]) * f(hidden[r * size + d]));
            compare(2, self.d_weight[class * size + d], of_weight);
        }
        (0..3).map(|i| differences[i] / largest[i].max(f64::MIN_POSITIVE)).fold(0.0, f64::max)
    }
}

/// A measured time.
#[derive(Debug, Clone, Copy)]
pub struct Seconds {
    /// Wall-clock time, seconds.
    pub wall: f64,
    /// Processor time of all threads, seconds, without waiting for a busy core: on a shared machine
    /// the steadier figure.
    pub processor: f64,
}

/// A running measurement.
#[derive(Debug)]
pub struct Clock {
    wall: Instant,
    processor: f64,
}

impl Clock {
    /// Starts to measure.
    pub fn start() -> Self {
        Self { processor: processor_seconds(), wall: Instant::now() }
    }

    /// Time since the start.
    pub fn seconds(&self) -> Seconds {
        let wall = self.wall.elapsed().as_secs_f64();
        Seconds { wall, processor: processor_seconds() - self.processor }
    }
}

/// Best and median of repeats, in seconds.
#[derive(Debug)]
pub struct Summary {
    /// Best by the clock on the wall.
    pub best: f64,
    /// Median by the clock on the wall.
    pub median: f64,
    /// Best of the processors together.
    pub best_processor: f64,
    /// Median of the processors together.
    pub median_processor: f64,
}

impl Summary {
    /// Summary of at least one time.
    pub fn of(times: &[Seconds]) -> Self {
        let sorted = |part: fn(&Seconds) -> f64| {
            let mut part: Vec<f64> = times.iter().map(part).collect();
            part.sort_by(f64::total_cmp);
            (part[0], part[part.len() / 2])
        };
        let (best, median) = sorted(|time| time.wall);
        let (best_processor, median_processor) = sorted(|time| time.processor);
        Self { best, median, best_processor, median_processor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_on_any_threads_are_the_sums() {
        let [m, n, k] = [5, 3, 4];
        let left: Vec<f32> = (0..m * k).map(|index| (index % 7) as f32 - 3.0).collect();
        let right: Vec<f32> = (0..k * n).map(|index| (index % 5) as f32 - 2.0).collect();
        let sum = |row: usize, column: usize| -> f32 {
            (0..k).map(|inner| left[row * k + inner] * right[inner * n + column]).sum()
        };
        let expected: Vec<f32> = (0..m * n).map(|place| sum(place / n, place % n)).collect();
        for threads in 1..=3 {
            let mut out = vec![9.0; m * n]; // overwritten
            product(&mut out, [m, n, k], (&left, [k, 1]), (&right, [n, 1]), threads);
            assert_eq!(out, expected, "{threads} threads");
        }
    }
}
