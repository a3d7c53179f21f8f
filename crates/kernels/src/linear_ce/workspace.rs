//! Memory and settings that are kept from call to call.

use super::buffers::{Chunk, Worker};
use super::plan::{Plan, Sizes, Task};
use crate::buffer::{HeldBytes, held};
use crate::element::Element;
use crate::simd::Level;

/// Threads, memory limit and the buffers themselves. Keep one for each layer: fresh memory costs
/// page faults in each call.
///
/// Results depend on the number of threads by rounding only; at a fixed number they are the same
/// bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(crate) threads: usize,
    pub(crate) memory_limit: usize,
    pub(crate) level: Level,
    pub(crate) workers: Vec<Worker<T>>,
    pub(crate) chunk: Chunk<T>,
}

/// Memory that a workspace uses by default: 32 MiB for one thread or two, 16 MiB for each of more.
/// Every thread has tiles and packed operands of its own, and with too little for them chunks get
/// so short that the weight is read again and again.
pub fn default_memory_limit(threads: usize) -> usize {
    (16 << 20) * threads.max(2)
}

impl<T: Element> Workspace<T> {
    /// Workspace for so many threads (at least one; small problems use fewer), with
    /// [`default_memory_limit`].
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            memory_limit: default_memory_limit(threads),
            level: Level::best(),
            workers: Vec::new(),
            chunk: Chunk::default(),
        }
    }

    /// Another limit in bytes. More memory saves recomputing logits of large vocabularies. The
    /// least that a problem can do with is what [`workspace_bytes`] says; a lower limit is raised
    /// to it.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks
    /// runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Bytes held now. The products' own buffers are not among them; [`workspace_bytes`] counts
    /// these too.
    pub fn bytes(&self) -> usize {
        self.held()
    }

    /// Makes the buffers fit. Calls of different sizes that take turns find what the larger ones
    /// left, threads that a small one does not start included, as long as all of it stays within
    /// the limit.
    pub(crate) fn fit(&mut self, plan: &Plan, sizes: Sizes, task: Task) {
        self.fit_buffers(plan, sizes, task);
        let held = self.bytes() + plan.product_bytes(sizes, task);
        if held > self.memory_limit.max(plan.bytes(sizes, task)) {
            self.workers.clear();
            self.chunk = Chunk::default();
            self.fit_buffers(plan, sizes, task);
        }
    }

    fn fit_buffers(&mut self, plan: &Plan, sizes: Sizes, task: Task) {
        if self.workers.len() < plan.threads {
            self.workers.resize_with(plan.threads, Worker::default);
        }
        for (thread, worker) in self.workers[..plan.threads].iter_mut().enumerate() {
            worker.fit(plan, sizes, task, thread);
        }
        self.chunk.fit(plan.chunk, sizes.hidden_size);
    }
}

/// Upper bound of the bytes that a call needs beyond its inputs and outputs: buffers, and what the
/// products pack their operands into. `gradients` is false for losses and queries.
pub fn workspace_bytes<T: Element>(
    rows: usize,
    hidden_size: usize,
    vocab_size: usize,
    threads: usize,
    memory_limit: usize,
    gradients: bool,
) -> usize {
    let sizes =
        Sizes { rows, hidden_size, vocab_size: vocab_size.max(1), bytes: size_of::<T>(), filtered: false };
    let task = if gradients { Task::Gradients } else { Task::Forward };
    Plan::new(sizes, threads, memory_limit, task).bytes(sizes, task)
}

/// Upper bound of the bytes that loss and gradients under an [`super::Filter`] need, counted as in
/// [`workspace_bytes`]: the filter gathers the weights of a block, and keeps maximum and sum of
/// each row in each block.
pub fn filtered_workspace_bytes<T: Element>(
    rows: usize,
    hidden_size: usize,
    vocab_size: usize,
    threads: usize,
    memory_limit: usize,
) -> usize {
    let sizes =
        Sizes { rows, hidden_size, vocab_size: vocab_size.max(1), bytes: size_of::<T>(), filtered: true };
    Plan::new(sizes, threads, memory_limit, Task::Gradients).bytes(sizes, Task::Gradients)
}

held!(Workspace { workers, chunk; threads, memory_limit, level });
