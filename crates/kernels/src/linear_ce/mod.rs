//! Exact linear cross-entropy: a linear layer, its softmax and the loss in one, without logits
//! `[N, V]`.
//!
//! For a chunk of rows and a block of classes at a time, the logits are made by one product into a
//! tile, and swept while they are in the cache: maximum, exponentials and their sum; when a row's
//! normaliser is known, the gradient of the logits in place, and from it at once the two gradient
//! products. The plan ([`workspace_bytes`] says what it takes) decides how many rows a chunk has
//! and whether logits are kept or computed again between the sweeps. Threads share the classes, so
//! each writes its own rows of the weight's gradient.
//!
//! * [`loss`]: losses alone, one sweep.
//! * [`loss_and_gradients`]: both, where the factor of each row's loss in the final number is known
//!   before.
//! * [`Filter`]: leaves classes without probability out of the gradient sweep.
//! * [`gradients`]: gradients after [`loss`], where that factor is known only then (reduction
//!   none).
//! * [`mixture`]: both for a mixture of softmaxes over one layer.
//! * [`choices`]: every two-way choice of a tree in place of a softmax.
//!
//! The idea of computing gradients together with the loss is that of Liger Kernel (Hsu et al. 2024,
//! arXiv 2410.10989), the sweep with a running maximum that of Milakov and Gimelshein (2018,
//! "Online normalizer calculation for softmax", arXiv 1805.02867).

mod buffers;
pub mod choices;
mod compact;
mod filter;
mod filtered;
mod gradients;
mod input;
mod loss;
pub mod mixture;
mod options;
mod pass;
mod plan;
mod rows;
mod smoothed_mixture;
mod span;
mod sweep;
mod targets;
mod workspace;

pub use filter::{Filter, Filtered};
pub use gradients::{Gradients, Upstream};
pub use input::Linear;
pub use loss::{RowLosses, gradients, loss, loss_and_gradients};
pub use options::Options;
pub use workspace::{
    MemoryLimit, Workspace, default_memory_limit, filtered_workspace_bytes, workspace_bytes,
};

pub(crate) use pass::{Pass, Work};
pub(crate) use plan::{Plan, Sizes, Task};
