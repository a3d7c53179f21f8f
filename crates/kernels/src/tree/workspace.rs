//! Workspace and settings that are reused from call to call.

use super::batch::Batch;
use super::vector::PADDING;
use crate::buffer::{HeldBytes, held, sized};
use crate::element::Element;
use crate::simd::Level;

/// Rows of a block. 16 of 256 f32 are half of a first-level cache of 32 KiB.
pub(super) const ROWS: usize = 16;

/// Threads and buffers of the kernel. Keep one for each layer.
///
/// Results depend on the number of threads by rounding only; at a fixed number they are the same
/// bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(super) threads: usize,
    pub(super) level: Level,
    pub(super) workers: Vec<Worker<T>>,
}

impl<T: Element> Workspace<T> {
    /// Workspace for so many threads (at least one; small problems use fewer).
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), level: Level::best(), workers: Vec::new() }
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks
    /// runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Bytes held now: at most those of [`workspace_bytes`] for the longest path so far.
    pub fn bytes(&self) -> usize {
        self.held()
    }

    /// Makes the buffers fit.
    pub(super) fn fit(&mut self, threads: usize, batch: &Batch, hidden_size: usize) {
        self.workers.resize_with(threads, Worker::default);
        for (thread, worker) in self.workers.iter_mut().enumerate() {
            let first = batch.share(thread, threads).start;
            let shared = if first < batch.rows() { batch.shared(first) } else { 0 };
            worker.fit(batch.longest(), shared, hidden_size);
        }
    }
}

/// Upper bound of the bytes that a workspace holds, for paths of at most `longest` steps: each
/// thread has some elements for each step of the longest path and for each row of a block, and one
/// row of `D` for each node that it shares with the thread before.
pub fn workspace_bytes<T: Element>(longest: usize, hidden_size: usize, threads: usize) -> usize {
    let padded = longest.next_multiple_of(PADDING);
    let numbers = 3 * padded + longest * (ROWS + hidden_size);
    let others = (longest + ROWS) * size_of::<usize>() + longest * size_of::<f64>();
    threads.max(1) * (numbers * size_of::<T>() + others)
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Worker<T> {
    /// Logits of the nodes on the current path, padded.
    pub logits: Vec<T>,
    /// Exponentials of minus the absolute logits, padded.
    pub exps: Vec<T>,
    /// Slope of the loss at each logit of the path, padded.
    pub slopes: Vec<T>,
    /// Offset of each node of the path in the weight.
    pub node_offsets: Vec<usize>,
    /// Offset of each row of the block in the hidden states.
    pub hidden_offsets: Vec<usize>,
    /// The slopes of the block, [`ROWS`] for each depth.
    pub by_node: Vec<T>,
    /// Sums of the nodes on the first row's path that the thread before visits too, by depth.
    pub head: Vec<T>,
    pub head_bias: Vec<f64>,
}

impl<T: Element> Worker<T> {
    fn fit(&mut self, longest: usize, shared: usize, hidden_size: usize) {
        let padded = longest.next_multiple_of(PADDING);
        for (numbers, len) in [
            (&mut self.logits, padded),
            (&mut self.exps, padded),
            (&mut self.slopes, padded),
            (&mut self.by_node, longest * ROWS),
            (&mut self.head, shared * hidden_size),
        ] {
            sized(numbers, len);
        }
        sized(&mut self.head_bias, shared);
        for (places, len) in [(&mut self.node_offsets, longest), (&mut self.hidden_offsets, ROWS)] {
            places.clear();
            places.reserve_exact(len);
        }
    }
}

held!(Workspace { workers; threads, level });
held!(Worker { logits, exps, slopes, node_offsets, hidden_offsets, by_node, head, head_bias });
