//! Filtered gradients of a layer: the rule, and what its last step left out.

use std::sync::{Arc, Mutex, PoisonError};

use lexmax_kernels::linear_ce::Filter;
pub use lexmax_kernels::linear_ce::Filtered;

/// A rule of [`Filter`] that remembers what the last gradient sweep left out; clones share the
/// memory, so the nodes of the graph can tell the layer that made them.
#[derive(Debug, Clone)]
pub struct GradientFilter {
    pub(super) rule: Filter,
    last: Arc<Mutex<Option<Filtered>>>,
}

impl GradientFilter {
    /// Leaves out classes to which no row of a chunk gives more than `eps`; with `exact_weight`
    /// only from the gradient of the hidden states.
    pub fn new(eps: f64, exact_weight: bool) -> Self {
        Self { rule: Filter { eps, exact_weight }, last: Arc::default() }
    }

    /// Entries and probability that the last gradient sweep left out. With the reduction `none`
    /// that sweep is part of the backward pass.
    pub fn last(&self) -> Option<Filtered> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets it: a new step begins.
    pub fn forget(&self) {
        self.remember(None);
    }

    pub(super) fn remember(&self, filtered: Option<Filtered>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = filtered;
    }
}
