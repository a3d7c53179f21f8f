//! Workspaces of a layer's fused calls, kept from call to call: fresh memory costs page faults each
//! time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use lexmax_autograd::for_each_index;
use lexmax_kernels::linear_ce::{Workspace, default_memory_limit};
use lexmax_kernels::{Element, set_runner};

/// The dtypes that the fused path computes in: f32 and f64.
pub trait FusedKind: Element + tch::kind::Element + Default {
    #[doc(hidden)]
    fn slot<W: Workspaces>(pair: &ByKind<W>) -> &Slot<W::Of<Self>>;
}

impl FusedKind for f32 {
    fn slot<W: Workspaces>(pair: &ByKind<W>) -> &Slot<W::Of<Self>> {
        &pair.single
    }
}

impl FusedKind for f64 {
    fn slot<W: Workspaces>(pair: &ByKind<W>) -> &Slot<W::Of<Self>> {
        &pair.double
    }
}

/// How the workspaces of one kernel are made; [`ByKind`] keeps them.
pub trait Workspaces: Clone + fmt::Debug + Send + Sync + 'static {
    /// The kernel's workspace for a dtype.
    type Of<T: FusedKind>: Send;

    /// Makes the workspace of a dtype for some threads.
    fn for_threads<T: FusedKind>(&self, threads: usize) -> Self::Of<T>;
}

/// A kernel's workspaces, one for each dtype, made when they are first used and kept from call to
/// call. Clones share them, so the nodes of the graph use those of the layer that made them.
pub struct ByKind<W: Workspaces> {
    made_by: W,
    single: Slot<W::Of<f32>>,
    double: Slot<W::Of<f64>>,
}

/// A workspace and the number of threads that it was made for.
type Slot<W> = Arc<Mutex<Option<(usize, W)>>>;

impl<W: Workspaces> ByKind<W> {
    /// Workspaces that are yet to be made.
    pub fn new(made_by: W) -> Self {
        Self { made_by, single: Slot::default(), double: Slot::default() }
    }

    /// Runs a call with the workspace of a dtype, for as many threads as libtorch has: one setting
    /// governs both.
    ///
    /// The kernels run on libtorch's threads, since these are awake from the operation before: the
    /// first call installs them as the process's [runner](lexmax_kernels::set_runner), unless the
    /// program has chosen another one.
    pub fn with<T: FusedKind, R>(&self, run: impl FnOnce(&mut W::Of<T>) -> R) -> R {
        // Where libtorch refuses, the pool does what is left on the calling thread.
        set_runner(|count, work| drop(for_each_index(count, work)));
        let threads = lexmax_autograd::threads();
        // A workspace holds no state between calls, so one that a panic left behind is as good as
        // new.
        let mut slot = T::slot(self).lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|(made_for, _)| *made_for != threads) {
            *slot = None;
        }
        run(&mut slot.get_or_insert_with(|| (threads, self.made_by.for_threads(threads))).1)
    }
}

impl<W: Workspaces> Clone for ByKind<W> {
    fn clone(&self) -> Self {
        let Self { made_by, single, double } = self;
        Self { made_by: made_by.clone(), single: Arc::clone(single), double: Arc::clone(double) }
    }
}

impl<W: Workspaces + Default> Default for ByKind<W> {
    fn default() -> Self {
        Self::new(W::default())
    }
}

impl<W: Workspaces> fmt::Debug for ByKind<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByKind").field(&self.made_by).finish()
    }
}

/// Workspaces of one layer's sweeps over classes: [`default_memory_limit`] for each dtype that is
/// used (32 MiB for two threads), a quarter more for a mixture, or the bytes that were given.
///
/// ```
/// use lexmax_output::fused::Scratch;
///
/// let scratch = Scratch::with_memory_limit(8 << 20);
/// let bytes = scratch.with::<f32, _>(|workspace| workspace.bytes());
/// assert!(bytes <= 8 << 20);
/// ```
pub type Scratch = ByKind<MemoryLimit>;

/// Memory of the sweeps over classes.
#[derive(Debug, Clone, Copy, Default)]
pub enum MemoryLimit {
    /// The kernels' default for the number of threads.
    #[default]
    Default,
    /// A quarter more than the default, for a mixture.
    QuarterMore,
    /// A number of bytes.
    Bytes(usize),
}

impl Workspaces for MemoryLimit {
    type Of<T: FusedKind> = Workspace<T>;

    fn for_threads<T: FusedKind>(&self, threads: usize) -> Workspace<T> {
        let default = default_memory_limit(threads);
        Workspace::new(threads).with_memory_limit(match self {
            Self::Default => default,
            Self::QuarterMore => default + default / 4,
            Self::Bytes(bytes) => *bytes,
        })
    }
}

impl Scratch {
    /// Workspaces of at most so many bytes each, or the least that the problem can do with.
    pub fn with_memory_limit(bytes: usize) -> Self {
        Self::new(MemoryLimit::Bytes(bytes))
    }

    /// Workspaces for so many rows a token. A mixture has several, so its chunks have fewer tokens;
    /// a quarter more memory is still little beside `[N, K, V]` (`N = 256`, `K = 10`, `V = 33,278`:
    /// a twentieth of what plain libtorch takes), and makes it faster.
    pub fn for_components(components: i64) -> Self {
        Self::new(if components > 1 { MemoryLimit::QuarterMore } else { MemoryLimit::Default })
    }
}
