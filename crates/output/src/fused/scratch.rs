//! The workspaces of a layer's fused calls, kept from call to call: fresh memory costs page faults each time.

use std::sync::{Arc, Mutex, PoisonError};

use lexmax_autograd::for_each_index;
use lexmax_kernels::linear_ce::{Workspace, default_memory_limit};
use lexmax_kernels::{Element, set_runner};

/// A workspace that is kept from call to call, shared with the nodes of the graph that a layer makes.
#[derive(Debug)]
pub struct Kept<W>(Arc<Mutex<Option<ForThreads<W>>>>);

/// The number of threads, and the workspace for so many.
type ForThreads<W> = (usize, W);

impl<W> Clone for Kept<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> Default for Kept<W> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<W> Kept<W> {
    /// Runs a call with the workspace, which `new` makes for as many threads as libtorch has: one setting governs both.
    pub fn with<R>(&self, new: impl FnOnce(usize) -> W, run: impl FnOnce(&mut W) -> R) -> R {
        // Libtorch's threads are awake from the operation before. A runner that the program has chosen before stays; where libtorch
        // refuses, the pool does what is left on the calling thread.
        set_runner(|count, work| drop(for_each_index(count, work)));
        let threads = lexmax_autograd::threads();
        // A workspace holds no state between calls, so one that a panic left behind is as good as new.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(made_for, _)| *made_for != threads) {
            *kept = None;
        }
        run(&mut kept.get_or_insert_with(|| (threads, new(threads))).1)
    }
}

/// Workspaces of one layer's sweeps over classes: [`default_memory_limit`] for each kind that is used (32 MiB for two threads), a
/// quarter more for a mixture, or what was given.
#[derive(Debug, Clone)]
pub struct Scratch {
    memory_limit: MemoryLimit,
    single: Kept<Workspace<f32>>,
    double: Kept<Workspace<f64>>,
}

/// Memory of the sweeps for some threads.
#[derive(Debug, Clone, Copy)]
enum MemoryLimit {
    Default,
    /// Of a mixture.
    QuarterMore,
    Bytes(usize),
}

impl MemoryLimit {
    fn of(self, threads: usize) -> usize {
        let default = default_memory_limit(threads);
        match self {
            Self::Default => default,
            Self::QuarterMore => default + default / 4,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The kinds that the fused path computes in: f32 and f64.
pub trait FusedKind: Element + tch::kind::Element + Default {
    #[doc(hidden)]
    fn kept(scratch: &Scratch) -> &Kept<Workspace<Self>>;
}

impl FusedKind for f32 {
    fn kept(scratch: &Scratch) -> &Kept<Workspace<Self>> {
        &scratch.single
    }
}

impl FusedKind for f64 {
    fn kept(scratch: &Scratch) -> &Kept<Workspace<Self>> {
        &scratch.double
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::of(MemoryLimit::Default)
    }
}

impl Scratch {
    /// Workspaces of at most so many bytes each, or the least that the problem can do with.
    pub fn with_memory_limit(bytes: usize) -> Self {
        Self::of(MemoryLimit::Bytes(bytes))
    }

    /// For so many rows a token. A mixture has several, so its chunks have fewer tokens; a quarter more memory is still little
    /// beside `[N, K, V]` (`N = 256`, `K = 10`, `V = 33,278`: a twentieth of what plain libtorch takes), and makes it faster.
    pub fn for_components(components: i64) -> Self {
        Self::of(if components > 1 { MemoryLimit::QuarterMore } else { MemoryLimit::Default })
    }

    fn of(memory_limit: MemoryLimit) -> Self {
        Self { memory_limit, single: Kept::default(), double: Kept::default() }
    }

    /// Runs a call with the layer's workspace.
    pub fn with<T: FusedKind, R>(&self, run: impl FnOnce(&mut Workspace<T>) -> R) -> R {
        T::kept(self)
            .with(|threads| Workspace::new(threads).with_memory_limit(self.memory_limit.of(threads)), run)
    }
}
