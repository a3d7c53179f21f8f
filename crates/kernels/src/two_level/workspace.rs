//! Workspace and settings that are reused from call to call.

use super::groups::Group;
use crate::buffer::{HeldBytes, held, sized};
use crate::element::Element;
use crate::linear_ce::{self, default_memory_limit};
use crate::simd::Level;

/// Threads and buffers of the kernel. Keep one for each layer.
///
/// Results depend on the number of threads by rounding only; at a fixed number they are the same
/// bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(super) threads: usize,
    level: Level,
    memory_limit: usize,
    pub(super) workers: Vec<Worker<T>>,
    /// Threads of each worker's sweeps.
    inner_threads: usize,
    /// Hidden states by position, `[N, D]`.
    pub(super) hidden: Vec<T>,
    /// Upstream factors by position, `[N]`.
    pub(super) upstream: Vec<T>,
    /// Gradient of the hidden states by position, `[N, D]`, classes and words added.
    pub(super) d_hidden: Vec<T>,
}

/// Buffers of one worker: its sweeps' workspace and its sums.
#[derive(Debug)]
pub(super) struct Worker<T> {
    pub sweeps: linear_ce::Workspace<T>,
    /// Gradient of its largest group's hidden states.
    pub d_group: Vec<T>,
    /// Gradients of the class weight and bias by its rows; the first worker writes where they go.
    pub d_class_weight: Vec<T>,
    pub d_class_bias: Vec<T>,
}

impl<T: Element> Workspace<T> {
    /// Workspace for so many threads (at least one; small problems use fewer).
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            level: Level::best(),
            memory_limit: default_memory_limit(threads, 0),
            workers: Vec::new(),
            inner_threads: 0,
            hidden: Vec::new(),
            upstream: Vec::new(),
            d_hidden: Vec::new(),
        }
    }

    /// Another limit in bytes of the sweeps of all threads together; [`default_memory_limit`] by
    /// default.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self.workers.clear();
        self
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks
    /// runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self.workers.clear();
        self
    }

    /// Bytes held now. At most the memory limit for the sweeps of all threads together, twice the
    /// batch's hidden states, one group of them for each thread, and the class weight for each
    /// thread but the first.
    pub fn bytes(&self) -> usize {
        self.held()
    }

    /// Makes as many workers; a single one has all threads to itself.
    pub(super) fn fit(&mut self, workers: usize) {
        let inner = if workers == 1 { self.threads } else { 1 };
        if self.workers.len() != workers || self.inner_threads != inner {
            self.workers.clear();
            let limit = self.memory_limit / workers.max(1);
            let sweeps = || linear_ce::Workspace::new(inner).with_memory_limit(limit).with_level(self.level);
            self.workers = (0..workers)
                .map(|_| Worker {
                    sweeps: sweeps(),
                    d_group: Vec::new(),
                    d_class_weight: Vec::new(),
                    d_class_bias: Vec::new(),
                })
                .collect();
            self.inner_threads = inner;
        }
    }
}

impl<T: Element> Worker<T> {
    /// Sizes the buffer for the gradient of the hidden states of the largest group.
    pub fn fit(&mut self, groups: &[Group], hidden_size: usize) {
        let most = groups.iter().map(|group| group.positions.len()).max().unwrap_or(0);
        sized(&mut self.d_group, most * hidden_size);
    }
}

held!(Workspace { workers, hidden, upstream, d_hidden; threads, level, memory_limit, inner_threads });
held!(Worker { sweeps, d_group, d_class_weight, d_class_bias });
