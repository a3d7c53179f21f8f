//! Memory and settings that are kept from call to call.

use super::filtered::Gathered;
use super::input::Linear;
use super::plan::{Plan, Sizes, Task};
use super::rows::RowSums;
use super::smoothed_mixture::Room;
use crate::element::Element;
use crate::simd::Level;
use crate::tile::buffer::Aligned;
use crate::tile::stride;

/// Threads, memory limit and the buffers themselves. Keep one for each layer: fresh memory costs page faults in each call.
///
/// Results depend on the number of threads by rounding only; at a fixed number they are the same bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(crate) threads: usize,
    pub(crate) memory_limit: usize,
    pub(crate) level: Level,
    pub(crate) workers: Vec<Worker<T>>,
    pub(crate) chunk: Chunk<T>,
}

/// Memory that a workspace uses unless told otherwise: 32 MiB for one thread or two, 16 MiB for each of more. Every thread has
/// tiles and packed operands of its own, and with too little for them chunks get so short that the weight is read again and again.
pub fn default_memory_limit(threads: usize) -> usize {
    (16 << 20) * threads.max(2)
}

impl<T: Element> Workspace<T> {
    /// For so many threads (at least one; small problems use fewer), with [`default_memory_limit`].
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            memory_limit: default_memory_limit(threads),
            level: Level::best(),
            workers: Vec::new(),
            chunk: Chunk::default(),
        }
    }

    /// Another limit in bytes. More memory saves recomputing logits of large vocabularies. The least that a problem can do
    /// with is what [`workspace_bytes`] says; a lower limit is raised to it.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Bytes held now. The products' own buffers are not among them; [`workspace_bytes`] counts these too.
    pub fn bytes(&self) -> usize {
        self.workers.iter().map(Worker::bytes).sum::<usize>() + self.chunk.bytes()
    }

    /// Makes the buffers fit. Calls of different sizes that take turns find what the larger ones left, threads that a small one
    /// does not start included, as long as all of it stays within the limit.
    pub(crate) fn fit(&mut self, plan: &Plan, sizes: Sizes, task: Task) {
        self.fit_buffers(plan, sizes, task);
        if self.bytes() > self.memory_limit.max(plan.bytes(sizes, task)) {
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

/// Upper bound of the bytes that a call needs beyond its inputs and outputs: buffers, and what the products pack their operands
/// into. `gradients` is false for losses and queries.
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

/// As [`workspace_bytes`], of loss and gradients under an [`super::Filter`]: it gathers the weights of a block, and keeps maximum
/// and sum of each row in each block.
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

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(crate) struct Worker<T> {
    /// Tiles one after the other: the kept ones, then the one that is used again and again.
    pub tiles: Aligned<T>,
    /// Maximum of each row in each kept tile (in each block, where gradients are filtered).
    pub block_max: Vec<T>,
    /// Of the tile at hand, per row.
    pub max: Vec<T>,
    pub sum: Vec<T>,
    pub weighted: Vec<T>,
    pub mass: Vec<T>,
    pub places: Vec<u32>,
    pub target_logits: Vec<T>,
    /// Of this thread's blocks so far.
    pub sums: Vec<RowSums>,
    /// This thread's share of the gradient of the chunk's hidden states.
    pub d_hidden: Vec<T>,
    /// Of this thread's classes.
    pub d_bias: Vec<f64>,
    /// For filtered gradients.
    pub gathered: Gathered<T>,
    /// For label smoothing of a mixture.
    pub smoothing: Room<T>,
}

impl<T: Element> Worker<T> {
    fn fit(&mut self, plan: &Plan, sizes: Sizes, task: Task, thread: usize) {
        let padded = stride(plan.chunk);
        self.tiles.resize(plan.tiles() * plan.block * padded);
        let per_row =
            [&mut self.max, &mut self.sum, &mut self.weighted, &mut self.mass, &mut self.target_logits];
        for numbers in per_row {
            resize(numbers, padded);
        }
        let blocks = plan.blocks_of(thread);
        resize(&mut self.block_max, if plan.filtered { blocks.len() } else { plan.kept } * padded);
        let filtered_blocks = if plan.filtered { blocks.len() } else { 0 };
        self.gathered.fit(filtered_blocks, plan.block, sizes.hidden_size, padded);
        self.places.resize(padded, 0);
        let gradients = task != Task::Forward;
        resize(&mut self.d_hidden, if gradients { plan.chunk * sizes.hidden_size } else { 0 });
        let classes = (blocks.end * plan.block).min(sizes.vocab_size) - blocks.start * plan.block;
        resize(&mut self.d_bias, if gradients { classes } else { 0 });
    }

    fn bytes(&self) -> usize {
        let numbers = [
            &self.block_max,
            &self.max,
            &self.sum,
            &self.weighted,
            &self.mass,
            &self.target_logits,
            &self.d_hidden,
        ];
        self.tiles.bytes()
            + self.gathered.bytes()
            + self.smoothing.bytes()
            + numbers.iter().map(|numbers| numbers.capacity() * size_of::<T>()).sum::<usize>()
            + self.places.capacity() * size_of::<u32>()
            + self.sums.capacity() * size_of::<RowSums>()
            + self.d_bias.capacity() * size_of::<f64>()
    }
}

/// What all threads read: the chunk's hidden states and the factors of its rows.
#[derive(Debug, Default)]
pub(crate) struct Chunk<T> {
    /// The rows that count, one after the other, `[R, D]`.
    pub hidden: Vec<T>,
    pub targets: Vec<usize>,
    /// Largest logit, for exponentials that were not kept.
    pub max: Vec<T>,
    /// Factor of `exp(z - max)`, temperature and upstream included.
    pub mass: Vec<f64>,
    pub spread: Vec<T>,
    /// What is subtracted at the target.
    pub target: Vec<f64>,
    /// One over `sum_c exp(z_c - max)`.
    pub share: Vec<f64>,
}

impl<T: Element> Chunk<T> {
    fn fit(&mut self, rows: usize, hidden_size: usize) {
        resize(&mut self.hidden, rows * hidden_size);
        resize(&mut self.max, stride(rows));
        resize(&mut self.spread, stride(rows));
        self.mass.resize(stride(rows), 0.0);
        self.target.resize(stride(rows), 0.0);
        self.share.resize(stride(rows), 0.0);
    }

    /// Copies the rows that count.
    pub fn gather(&mut self, linear: &Linear<'_, T>, targets: &[i64], rows: &[usize]) {
        let size = linear.hidden_size;
        self.targets.clear();
        for (at, row) in rows.iter().enumerate() {
            self.hidden[at * size..(at + 1) * size]
                .copy_from_slice(&linear.hidden[row * size..(row + 1) * size]);
            // Checked before: a target that counts names a class.
            self.targets.push(targets[*row] as usize);
        }
        // Padding has no gradient, and a maximum under which no bias has an exponential that is not finite: zero times infinity is
        // no number, and sums over rows would have it.
        let highest = T::from_f64(-T::LOWEST.to_f64());
        for padding in rows.len()..self.max.len() {
            self.max[padding] = highest;
            self.mass[padding] = 0.0;
            self.spread[padding] = T::default();
        }
    }

    /// Copies neighbouring rows, without targets.
    pub fn gather_rows(&mut self, linear: &Linear<'_, T>, rows: std::ops::Range<usize>) {
        let size = linear.hidden_size;
        self.hidden[..rows.len() * size].copy_from_slice(&linear.hidden[rows.start * size..rows.end * size]);
        self.targets.clear();
        // No block has this class.
        self.targets.resize(rows.len(), usize::MAX);
    }

    fn bytes(&self) -> usize {
        (self.hidden.capacity() + self.max.capacity() + self.spread.capacity()) * size_of::<T>()
            + (self.mass.capacity() + self.target.capacity() + self.share.capacity()) * size_of::<f64>()
            + self.targets.capacity() * size_of::<usize>()
    }
}

/// Exactly so many numbers; a smaller buffer is replaced, not copied.
pub(super) fn resize<T: Copy + Default>(numbers: &mut Vec<T>, len: usize) {
    if numbers.capacity() < len {
        *numbers = Vec::new();
    }
    numbers.clear();
    numbers.resize(len, T::default());
}
