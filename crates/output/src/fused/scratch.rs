//! The workspaces of a layer's fused calls, kept from call to call: fresh memory costs page faults each time.

use std::sync::{Arc, Mutex, PoisonError};

use lexmax_kernels::Element;
use lexmax_kernels::linear_ce::Workspace;

/// Workspaces of one layer, shared with the nodes of the graph that it makes. At most 32 MiB for each kind that is used.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    single: Kept<f32>,
    double: Kept<f64>,
}

/// A workspace and the threads it was made for.
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Mutex<Option<ForThreads<T>>>>);

/// The number of threads, and the workspace for so many.
type ForThreads<T> = (usize, Workspace<T>);

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

/// The kinds that have a workspace.
pub(super) trait Scratched: Element + tch::kind::Element + Default {
    fn kept(scratch: &Scratch) -> &Kept<Self>;
}

impl Scratched for f32 {
    fn kept(scratch: &Scratch) -> &Kept<Self> {
        &scratch.single
    }
}

impl Scratched for f64 {
    fn kept(scratch: &Scratch) -> &Kept<Self> {
        &scratch.double
    }
}

impl Scratch {
    /// Runs a call with the layer's workspace, for as many threads as libtorch has: one setting governs both.
    pub(super) fn with<T: Scratched, R>(&self, run: impl FnOnce(&mut Workspace<T>) -> R) -> R {
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        // A workspace holds no state between calls, so one that a panic left behind is as good as new.
        let mut kept = T::kept(self).0.lock().unwrap_or_else(PoisonError::into_inner);
        let (made_for, workspace) = kept.get_or_insert_with(|| (threads, Workspace::new(threads)));
        if *made_for != threads {
            (*made_for, *workspace) = (threads, Workspace::new(threads));
        }
        run(workspace)
    }
}
