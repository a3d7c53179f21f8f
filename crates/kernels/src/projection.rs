//! Some rows of the hidden states at another width: what lies between a layer's hidden states and a
//! softmax of its own width.
//!
//! The rows are gathered, multiplied and (their gradient) added back a few at a time, so no copy of
//! `[N, D]` is made. The products are small beside those of the softmax that follows: they run on
//! this crate's threads, between its sweeps, because a thread pool of somebody else's that still
//! spins when a sweep starts takes a core from it for milliseconds.

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::Workspace;
use crate::pool;
use crate::product::{Matrix, Product, ProductLibrary};

/// Rows gathered at a time.
const CHUNK: usize = 128;
/// A thread of its own is worth starting for this many operations.
const OPERATIONS_PER_THREAD: usize = 4_000_000;

/// `Z = H_r P^T`: rows `r` of hidden `[N, D]`, projected by `[W, D]` to `[M, W]`.
#[derive(Debug, Clone, Copy)]
pub struct Projection<'a, T> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a [T],
    /// Size of a hidden state, `D`.
    pub hidden_size: usize,
    /// The `M` rows, strictly rising; `None`: all `N`.
    pub rows: Option<&'a [usize]>,
    /// Projection matrix `P`, `[W, D]`.
    pub weight: &'a [T],
}

impl<T: Element> Projection<'_, T> {
    /// Number of projected rows, `M`.
    pub fn rows(&self) -> usize {
        self.rows.map_or(self.hidden.len() / self.hidden_size.max(1), <[usize]>::len)
    }

    /// Width of a projected row, `W`.
    pub fn width(&self) -> usize {
        self.weight.len() / self.hidden_size.max(1)
    }

    /// Writes `Z` `[M, W]`. Cost: `2 M D W` operations.
    ///
    /// # Errors
    /// Slices that do not fit, rows that do not rise or that are not there.
    ///
    /// ```
    /// use lexmax_kernels::{linear_ce::Workspace, projection::Projection};
    ///
    /// let hidden = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// let projection = Projection { hidden: &hidden, hidden_size: 2, rows: Some(&[0, 2]), weight: &[1.0, -1.0] };
    /// let mut out = [0.0; 2];
    /// projection.forward(&mut out, &Workspace::new(1))?;
    /// assert_eq!(out, [-1.0, -1.0]);
    /// # Ok::<(), lexmax_kernels::KernelError>(())
    /// ```
    pub fn forward(&self, out: &mut [T], workspace: &Workspace<T>) -> Result<()> {
        let op = "projection.forward";
        self.check(op)?;
        let (rows, width, size) = (self.rows(), self.width(), self.hidden_size);
        KernelError::check_length(op, "out", out.len(), rows * width, "M rows of W")?;
        let share = self.share(workspace);
        let mut jobs: Vec<_> = out.chunks_mut((share * width).max(1)).enumerate().collect();
        let by = &workspace.library();
        pool::on_each(&mut jobs, |(thread, out)| {
            let mut gathered = Vec::new();
            for (number, out) in out.chunks_mut(CHUNK * width).enumerate() {
                let hidden = self.gather(*thread * share + number * CHUNK, out.len() / width, &mut gathered);
                let (left, right) = (Matrix::rows(hidden, size), Matrix::columns(self.weight, size));
                let sizes = [out.len() / width, width, size];
                by.multiply(Product::new(out, width, sizes, left, right, false));
            }
        });
        Ok(())
    }

    /// From `dZ` `[M, W]`: writes `dP` `[W, D]` and adds `dZ P` to the rows of `d_hidden` `[N, D]`.
    /// Cost: `2 M D W` operations each. Threads share the rows and their parts of `dP` are added in
    /// order, so the bits depend on the number of threads only.
    ///
    /// # Errors
    /// As [`Projection::forward`].
    pub fn gradients(
        &self,
        d_out: &[T],
        d_weight: Option<&mut [T]>,
        d_hidden: Option<&mut [T]>,
        workspace: &Workspace<T>,
    ) -> Result<()> {
        let op = "projection.gradients";
        self.check(op)?;
        let (rows, width, size) = (self.rows(), self.width(), self.hidden_size);
        KernelError::check_length(op, "gradient of out", d_out.len(), rows * width, "M rows of W")?;
        if let Some(d_weight) = &d_weight {
            let expected = "W rows of D";
            KernelError::check_length(op, "gradient of weight", d_weight.len(), width * size, expected)?;
        }
        if let Some(d_hidden) = &d_hidden {
            let expected = "N rows of D";
            KernelError::check_length(op, "gradient of hidden", d_hidden.len(), self.hidden.len(), expected)?;
        }
        let share = self.share(workspace);
        let mut jobs = Vec::new();
        let (mut rest, mut taken) = (d_hidden, 0);
        for first in (0..rows).step_by(share) {
            let end = if first + share < rows { self.row(first + share) } else { self.hidden.len() / size };
            let own = rest.take().map(|all| {
                let (own, others) = all.split_at_mut((end - taken) * size);
                rest = Some(others);
                own
            });
            jobs.push(Job { first, first_row: taken, d_hidden: own, d_weight: Vec::new() });
            taken = end;
        }
        let wants_weight = d_weight.is_some();
        let by = &workspace.library();
        pool::on_each(&mut jobs, |job| self.gradients_of_share(by, job, d_out, share, wants_weight));
        if let Some(d_weight) = d_weight {
            d_weight.fill(T::default());
            for job in &jobs {
                d_weight.iter_mut().zip(&job.d_weight).for_each(|(sum, part)| *sum = *sum + *part);
            }
        }
        Ok(())
    }

    fn gradients_of_share(
        &self,
        by: &ProductLibrary,
        job: &mut Job<'_, T>,
        d_out: &[T],
        share: usize,
        wants_weight: bool,
    ) {
        let (width, size) = (self.width(), self.hidden_size);
        if wants_weight {
            job.d_weight = vec![T::default(); width * size];
        }
        let (mut gathered, mut through) = (Vec::new(), Vec::new());
        let last = (job.first + share).min(self.rows());
        for first in (job.first..last).step_by(CHUNK) {
            let count = CHUNK.min(last - first);
            let d_out = &d_out[first * width..(first + count) * width];
            if wants_weight {
                let hidden = self.gather(first, count, &mut gathered);
                let (left, right) = (Matrix::columns(d_out, width), Matrix::rows(hidden, size));
                let sizes = [width, size, count];
                by.multiply(Product::new(&mut job.d_weight, size, sizes, left, right, true));
            }
            let Some(d_hidden) = &mut job.d_hidden else { continue };
            through.resize(CHUNK * size, T::default());
            let (left, right) = (Matrix::rows(d_out, width), Matrix::rows(self.weight, size));
            by.multiply(Product::new(&mut through, size, [count, size, width], left, right, false));
            for (at, values) in through.chunks_exact(size).take(count).enumerate() {
                let row = self.row(first + at) - job.first_row;
                let sums = &mut d_hidden[row * size..(row + 1) * size];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = *sum + *value);
            }
        }
    }

    /// Index in the hidden states of the `index`th projected row.
    fn row(&self, index: usize) -> usize {
        self.rows.map_or(index, |rows| rows[index])
    }

    /// Projected rows of one thread.
    fn share(&self, workspace: &Workspace<T>) -> usize {
        let operations = 2 * self.rows() * self.hidden_size * self.width();
        let threads = workspace.threads.min(operations / OPERATIONS_PER_THREAD).max(1);
        self.rows().div_ceil(threads).max(1)
    }

    /// `count` rows from the `first` on, one after the other; a copy where they are not neighbours.
    fn gather<'b>(&'b self, first: usize, count: usize, into: &'b mut Vec<T>) -> &'b [T] {
        let size = self.hidden_size;
        let Some(rows) = self.rows else { return &self.hidden[first * size..(first + count) * size] };
        into.clear();
        for row in &rows[first..first + count] {
            into.extend_from_slice(&self.hidden[row * size..(row + 1) * size]);
        }
        into
    }

    fn check(&self, op: &'static str) -> Result<()> {
        let size = self.hidden_size;
        if size == 0 {
            return Err(KernelError::argument(op, "hidden_size", size, "at least 1"));
        }
        let all = self.hidden.len() / size;
        KernelError::check_length(op, "hidden", self.hidden.len(), all * size, "N rows of D")?;
        KernelError::check_length(op, "weight", self.weight.len(), self.width() * size, "W rows of D")?;
        if self.width() == 0 {
            return Err(KernelError::argument(op, "width", 0, "at least 1"));
        }
        let rows = self.rows.unwrap_or_default();
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            let given = format!("{} followed by {}", pair[0], pair[1]);
            return Err(KernelError::argument(op, "rows", given, "rows that rise strictly"));
        }
        match rows.last() {
            Some(last) if *last >= all => {
                Err(KernelError::argument(op, "rows", last, format!("rows below {all}")))
            }
            _ => Ok(()),
        }
    }
}

/// One thread's projected rows, the part of the hidden states' gradient that holds them, and its
/// sum of the weight's gradient.
struct Job<'g, T> {
    first: usize,
    first_row: usize,
    d_hidden: Option<&'g mut [T]>,
    d_weight: Vec<T>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Against loops, over chunks and threads.
        #[test]
        fn products_of_some_rows_equal_loops(
            count in 1..400_usize, size in 1..9_usize, width in 1..5_usize, all: bool, threads in 1..4_usize, wide: bool,
        ) {
            // Wide enough, or not, for a thread of its own.
            let size = if wide { size + 12_000 / width } else { size };
            let count = if wide { count + 300 } else { count };
            let number = |i: usize| ((i * 7919 + 13) % 17) as f64 - 8.0;
            let hidden: Vec<f64> = (0..count * size).map(number).collect();
            let weight: Vec<f64> = (0..width * size).map(|i| number(i + 3)).collect();
            let rows: Vec<usize> = (0..count).filter(|row| all || row * 7 % 3 != 1).collect();
            let projection =
                Projection { hidden: &hidden, hidden_size: size, rows: (!all).then_some(&rows[..]), weight: &weight };
            let workspace = Workspace::new(threads);
            let mut out = vec![9.0; rows.len() * width];
            projection.forward(&mut out, &workspace).unwrap();
            let d_out: Vec<f64> = (0..rows.len() * width).map(|i| number(i + 5)).collect();
            let (mut d_weight, mut d_hidden) = (vec![9.0; width * size], vec![2.0; count * size]);
            projection.gradients(&d_out, Some(&mut d_weight), Some(&mut d_hidden), &workspace).unwrap();
            let (mut expected_weight, mut expected_hidden) = (vec![0.0; width * size], vec![2.0; count * size]);
            for (at, row) in rows.iter().enumerate() {
                for w in 0..width {
                    let (own, p) = (&hidden[row * size..][..size], &weight[w * size..][..size]);
                    prop_assert_eq!(out[at * width + w], own.iter().zip(p).map(|(a, b)| a * b).sum::<f64>());
                    for d in 0..size {
                        expected_weight[w * size + d] += d_out[at * width + w] * own[d];
                        expected_hidden[row * size + d] += d_out[at * width + w] * p[d];
                    }
                }
            }
            prop_assert_eq!(d_weight, expected_weight);
            prop_assert_eq!(d_hidden, expected_hidden);
        }
    }

    #[test]
    fn bad_input_is_an_error_that_names_it() {
        let hidden = [1.0_f64; 6];
        let plain = Projection { hidden: &hidden, hidden_size: 2, rows: Some(&[0, 2]), weight: &[1.0; 4] };
        let fails = |projection: Projection<'_, f64>, out: usize| {
            projection.forward(&mut vec![0.0; out], &Workspace::new(1)).unwrap_err().to_string()
        };
        assert!(fails(plain, 3).contains("out has 3 numbers, expected 4"));
        assert!(fails(Projection { rows: Some(&[2, 2]), ..plain }, 4).contains("2 followed by 2"));
        assert!(fails(Projection { rows: Some(&[0, 3]), ..plain }, 4).contains("rows below 3"));
        assert!(fails(Projection { weight: &[1.0; 3], ..plain }, 4).contains("weight has 3"));
        assert!(fails(Projection { weight: &[], ..plain }, 0).contains("width"));
        assert!(fails(Projection { hidden_size: 0, ..plain }, 4).contains("hidden_size"));
        let (d_out, mut short) = ([0.0; 4], [0.0; 3]);
        assert!(plain.gradients(&d_out, None, Some(&mut short), &Workspace::new(1)).is_err());
        assert!(plain.gradients(&d_out, Some(&mut short), None, &Workspace::new(1)).is_err());
        assert!(plain.gradients(&d_out[1..], None, None, &Workspace::new(1)).is_err());
    }

    #[test]
    fn no_rows_project_to_nothing() {
        let hidden = [1.0_f64; 6];
        let none = Projection { hidden: &hidden, hidden_size: 2, rows: Some(&[]), weight: &[1.0; 4] };
        none.forward(&mut [], &Workspace::new(2)).unwrap();
        let (mut d_weight, mut d_hidden) = ([5.0; 4], [5.0; 6]);
        none.gradients(&[], Some(&mut d_weight), Some(&mut d_hidden), &Workspace::new(2)).unwrap();
        assert_eq!((d_weight, d_hidden), ([0.0; 4], [5.0; 6]));
    }
}
