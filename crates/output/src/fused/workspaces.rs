//! Workspaces of a layer's fused calls, kept from call to call: fresh memory costs page faults each
//! time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use lexmax_autograd::for_each_index;
pub use lexmax_kernels::linear_ce::MemoryLimit;
use lexmax_kernels::linear_ce::Workspace;
use lexmax_kernels::product::{Precision, ProductLibrary};
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

    /// Sets what a call of this maker differs in from those of others that share the workspace.
    fn prepare<T: FusedKind>(&self, workspace: &mut Self::Of<T>) {
        let _ = workspace;
    }
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
        let workspace = &mut slot.get_or_insert_with(|| (threads, self.made_by.for_threads(threads))).1;
        self.made_by.prepare(workspace);
        run(workspace)
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

/// Workspaces of one layer's sweeps over classes, one for each dtype that is used, of the
/// [`MemoryLimit`] that was given each.
///
/// ```
/// use lexmax_kernels::product::ProductLibrary;
/// use lexmax_output::fused::{MemoryLimit, Scratch};
///
/// let scratch = Scratch::of(MemoryLimit::Bytes(8 << 20), ProductLibrary::GEMM);
/// let bytes = scratch.with::<f32, _>(|workspace| workspace.bytes());
/// assert!(bytes <= 8 << 20);
/// ```
pub type Scratch = ByKind<Sweeps>;

/// How the workspaces of sweeps over classes are made: the default memory, the products of the
/// crate `gemm` and full precision, or others.
#[derive(Debug, Clone, Copy)]
pub struct Sweeps {
    limit: MemoryLimit,
    products: ProductLibrary,
    precision: Precision,
}

impl Default for Sweeps {
    fn default() -> Self {
        Self { limit: MemoryLimit::default(), products: ProductLibrary::GEMM, precision: Precision::Full }
    }
}

impl Workspaces for Sweeps {
    type Of<T: FusedKind> = Workspace<T>;

    fn for_threads<T: FusedKind>(&self, threads: usize) -> Workspace<T> {
        Workspace::new(threads).with_limit(self.limit).with_products(self.products)
    }

    fn prepare<T: FusedKind>(&self, workspace: &mut Workspace<T>) {
        workspace.set_precision(self.precision);
    }
}

impl Scratch {
    /// Workspaces of at most so much memory each, or the least that the problem can do with, and
    /// the library that multiplies for them.
    pub fn of(limit: MemoryLimit, products: ProductLibrary) -> Self {
        Self::new(Sweeps { limit, products, precision: Precision::Full })
    }

    /// These workspaces for calls of another precision: training may round what evaluation does
    /// not.
    pub fn at(&self, precision: Precision) -> Self {
        let made_by = Sweeps { precision, ..self.made_by };
        Self { made_by, ..self.clone() }
    }
}
