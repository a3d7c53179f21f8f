//! Measurement hooks: the parts of a sweep's time, each alone, and the figures that the plan counts
//! with.
//!
//! The program `roofline` of the benches reads them; nothing that computes goes through here.

use crate::element::Element;
use crate::linear_ce::{Plan, Sizes, Task};
use crate::pool;
use crate::simd::Level;
use crate::simd::map::{Exp, map};

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
    let kept = (plan.kept as f64 / plan.blocks.div_ceil(plan.threads) as f64).min(1.0);
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
