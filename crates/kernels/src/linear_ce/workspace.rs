//! Memory and settings that are kept from call to call.

use super::buffers::{Chunk, Worker};
use super::plan::{Plan, Sizes, Task};
use super::span::Span;
use crate::buffer::{HeldBytes, held};
use crate::element::Element;
use crate::product::{Precision, ProductLibrary};
use crate::simd::Level;

/// Threads, memory limit and the buffers themselves. Keep one for each layer: fresh memory costs
/// page faults in each call.
///
/// Results depend on the number of threads by rounding only; at a fixed number they are the same
/// bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(crate) threads: usize,
    pub(crate) memory_limit: MemoryLimit,
    pub(crate) level: Level,
    pub(crate) products: ProductLibrary,
    pub(crate) precision: Precision,
    pub(crate) workers: Vec<Worker<T>>,
    pub(crate) spans: Vec<Span<T>>,
    pub(crate) chunk: Chunk<T>,
}

/// Memory that the workspace of a layer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryLimit {
    /// The bytes that [`default_memory_limit`] says.
    #[default]
    Default,
    /// A quarter more than the default, for a mixture. A mixture has several rows a token, so its
    /// chunks have fewer tokens; a quarter more memory is still little beside `[N, K, V]` (`N =
    /// 256`, `K = 10`, `V = 33,278`: a twentieth of what plain libtorch takes), and makes it
    /// faster.
    QuarterMore,
    /// A number of bytes.
    Bytes(usize),
}

impl MemoryLimit {
    /// The limit for some threads and a class weight of so many bytes.
    pub fn bytes(self, threads: usize, weight_bytes: usize) -> usize {
        let default = default_memory_limit(threads, weight_bytes);
        match self {
            Self::Default => default,
            Self::QuarterMore => default + default / 4,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Memory that a workspace uses by default: a quarter of the class weight, and at least 32 MiB for
/// one thread or two, 16 MiB for each of more; at most 256 MiB where the threads do not need more.
///
/// Every thread has tiles and packed operands of its own, and with too little for them chunks get
/// so short that the weight is read again and again. A large vocabulary has many logits a row: with
/// a quarter of the weight those of a chunk can be kept, with less they are computed twice.
///
/// ```
/// use lexmax_kernels::linear_ce::default_memory_limit;
///
/// assert_eq!(default_memory_limit(2, 4 * 33_278 * 256), 32 << 20);
/// assert_eq!(default_memory_limit(2, 4 * 267_735 * 512), 267_735 * 512);
/// assert_eq!(default_memory_limit(2, 4 * 5_000_000 * 512), 256 << 20);
/// ```
pub fn default_memory_limit(threads: usize, weight_bytes: usize) -> usize {
    ((16 << 20) * threads.max(2)).max((weight_bytes / 4).min(256 << 20))
}

impl<T: Element> Workspace<T> {
    /// Workspace for so many threads (at least one; small problems use fewer), with
    /// [`default_memory_limit`].
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            memory_limit: MemoryLimit::Default,
            level: Level::best(),
            products: ProductLibrary::GEMM,
            precision: Precision::Full,
            workers: Vec::new(),
            spans: Vec::new(),
            chunk: Chunk::default(),
        }
    }

    /// Another limit in bytes. More memory saves recomputing logits of large vocabularies. The
    /// least that a problem can do with is what [`workspace_bytes`] says; a lower limit is raised
    /// to it.
    pub fn with_memory_limit(self, bytes: usize) -> Self {
        self.with_limit(MemoryLimit::Bytes(bytes))
    }

    /// Another rule for the limit than the default.
    pub fn with_limit(mut self, limit: MemoryLimit) -> Self {
        self.memory_limit = limit;
        self
    }

    /// The limit in bytes for a problem.
    pub(crate) fn limit(&self, sizes: Sizes) -> usize {
        self.memory_limit.bytes(self.threads, sizes.vocab_size * sizes.hidden_size * sizes.bytes)
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks
    /// runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Another library of matrix products than the crate `gemm`.
    pub fn with_products(mut self, products: ProductLibrary) -> Self {
        self.products = products;
        self
    }

    /// Precision of the operands of all products from now on, whichever library multiplies in full
    /// precision. Normalisers, losses and sums stay those of the elements.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The library of the products at the present precision.
    pub(crate) fn library(&self) -> ProductLibrary {
        self.precision.library(self.products)
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
        if held > self.limit(sizes).max(plan.bytes(sizes, task)) {
            self.workers.clear();
            self.spans.clear();
            self.chunk = Chunk::default();
            self.fit_buffers(plan, sizes, task);
        }
    }

    fn fit_buffers(&mut self, plan: &Plan, sizes: Sizes, task: Task) {
        if self.workers.len() < plan.threads {
            self.workers.resize_with(plan.threads, Worker::default);
        }
        if self.spans.len() < plan.spans {
            self.spans.resize_with(plan.spans, Span::default);
        }
        for worker in &mut self.workers[..plan.threads] {
            worker.fit(plan, sizes);
        }
        for (number, span) in self.spans[..plan.spans].iter_mut().enumerate() {
            span.fit(plan, sizes, task, number);
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

held!(Workspace { workers, spans, chunk; threads, memory_limit, level, products, precision });
