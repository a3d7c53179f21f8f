//! Measurement hooks: the parts of a sweep's time, each alone, and the figures that the plan counts
//! with.
//!
//! The program `roofline` of the benches reads them; nothing that computes goes through here.

use crate::buffer::Aligned;
use crate::element::Element;
use crate::linear_ce::{Plan, Sizes, Task};
use crate::pool;
use crate::product::ProductLibrary;
use crate::simd::Level;
use crate::simd::map::{Exp, map};
use crate::tile::{Shape, product};

/// `exp` of every number, by the instructions of a level, as the sweeps compute it.
///
/// ```
/// use lexmax_kernels::{Level, measure::exponentials};
/// let mut values = [0.0, 1.0, f32::NEG_INFINITY];
/// exponentials(Level::best(), &mut values);
/// assert_eq!((values[0], values[2]), (1.0, 0.0));
/// ```
pub fn exponentials(level: Level, values: &mut [f32]) {
    map::<Exp>(level, values);
}

/// Runs `work` once on each of so many threads, as every phase of a sweep does; empty work costs
/// what starting them costs.
pub fn phase(threads: usize, work: impl Fn(usize) + Sync) {
    let mut workers: Vec<usize> = (0..threads.max(1)).collect();
    pool::on_each(&mut workers, |thread| work(*thread));
}

/// The three products of one tile, with its memory: what a sweep spends nearly all of its time in.
#[derive(Debug)]
pub struct TileProducts<T> {
    shape: Shape,
    size: usize,
    hidden: Aligned<T>,
    weight: Aligned<T>,
    tile: Aligned<T>,
    d_hidden: Aligned<T>,
    d_weight: Aligned<T>,
}

impl<T: Element> TileProducts<T> {
    /// Tile of some rows and classes with hidden states of a size: `[R, C, D]`.
    pub fn new([rows, classes, size]: [usize; 3]) -> Self {
        let shape = Shape { rows, classes };
        let filled = |len: usize| {
            let mut buffer = Aligned::default();
            buffer.resize(len);
            // Numbers of no special kind: zeros and ones take no other time, infinities may.
            buffer
                .iter_mut()
                .enumerate()
                .for_each(|(at, number)| *number = T::from_f64((at % 7) as f64 / 8.0));
            buffer
        };
        let [hidden, weight, tile] = [rows * size, classes * size, shape.len()].map(filled);
        let [d_hidden, d_weight] = [rows * size, classes * size].map(filled);
        Self { shape, size, hidden, weight, tile, d_hidden, d_weight }
    }

    /// Computes logits, then both gradients, on the calling thread.
    pub fn run(&mut self, library: &ProductLibrary) {
        let Self { shape, size, hidden, weight, tile, d_hidden, d_weight } = self;
        let (shape, size) = (*shape, *size);
        product::logits(library, tile, shape, weight, hidden, size);
        product::hidden_gradient(library, d_hidden, (tile, shape), weight, size, true);
        product::weight_gradient(library, d_weight, (tile, shape), hidden, size, false);
    }

    /// Floating-point operations of one run.
    pub fn operations(&self) -> f64 {
        6.0 * self.shape.rows as f64 * self.shape.classes as f64 * self.size as f64
    }
}

/// Plan for loss and gradients of one problem, and the cost that it counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanSummary {
    /// Threads that are used.
    pub threads: usize,
    /// Rows of a chunk.
    pub chunk: usize,
    /// Classes of a block.
    pub block: usize,
    /// Share of the blocks whose logits are kept between the sweeps; the others are computed again.
    pub kept: f64,
    /// Operations of all products, those that are made again included.
    pub operations: f64,
    /// Bytes of weight and gradient that are moved, and of kept logits written and read.
    pub bytes: f64,
    /// Exponentials.
    pub exponentials: f64,
}

/// The cut of [`crate::linear_ce::loss_and_gradients`], unfiltered.
pub fn cut<T: Element>(
    rows: usize,
    hidden_size: usize,
    vocab_size: usize,
    threads: usize,
    memory_limit: usize,
) -> PlanSummary {
    let vocab_size = vocab_size.max(1);
    let sizes = Sizes { rows, hidden_size, vocab_size, bytes: size_of::<T>(), filtered: false };
    let plan = Plan::new(sizes, threads, memory_limit, Task::Gradients);
    let kept = plan.share_kept();
    let (n, d, v) = (rows as f64, hidden_size as f64, vocab_size as f64);
    let chunks = rows.div_ceil(plan.chunk.max(1)) as f64;
    PlanSummary {
        threads: plan.threads,
        chunk: plan.chunk,
        block: plan.block,
        kept,
        operations: 2.0 * n * d * v * (3.0 + 1.0 - kept),
        bytes: size_of::<T>() as f64 * (4.0 * v * d * chunks + 2.0 * n * v * kept),
        exponentials: n * v * (2.0 - kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_phase_runs_once_on_each_thread() {
        let seen: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
        phase(3, |thread| {
            seen[thread].fetch_add(1, Ordering::Relaxed);
        });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn the_cut_counts_what_is_made_again() {
        let small = cut::<f32>(1024, 256, 33_278, 1, 32 << 20);
        assert_eq!((small.kept, small.operations), (1.0, 6.0 * 1024.0 * 256.0 * 33_278.0));
        let large = cut::<f32>(1024, 512, 267_735, 2, 32 << 20);
        assert!(large.kept < 1.0 && large.operations > 6.0 * 1024.0 * 512.0 * 267_735.0);
        assert!(large.exponentials > 1024.0 * 267_735.0);
    }
}
