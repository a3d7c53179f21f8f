//! One trait for every output layer: hidden states `[.., D]` in, a distribution over `V` classes
//! out.
//!
//! * [`OutputLayer`]: the trait. Every family of lexmax implements it.
//! * [`LossOptions`] and [`Reduction`]: options with one meaning for all families; [`Loss`] and
//!   [`Batch`] carry them out.
//! * [`TrainingLoss`], [`LogProb`], [`TopK`], [`ExactNll`]: values whose types keep surrogate
//!   losses and perplexities apart.
//! * [`BuildContext`], [`WordCounts`]: what a layer is built from; [`ClassOrder`] sorts classes by
//!   count; [`copy_saved`] takes parameters from a file; [`LayerSizes`]: enough of it to
//!   check a configuration.
//! * [`dense`]: exact answers from the logits of all classes.
//! * [`fused`] and [`chunked`]: losses and gradients without `[N, V]`, by kernels on a CPU and by
//!   ATen operations on any device; [`ComputePath`] and [`PathMemory`] say which is taken.
//!
//! The crate `lexmax-conformance` tests a layer against the laws of the trait.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod batch;
mod build;
mod check;
pub mod chunked;
mod class_order;
mod compute;
mod cost;
mod counts;
pub mod dense;
mod draws;
mod error;
pub mod fused;
mod layer;
mod leading;
mod linear;
mod node;
mod options;
mod pick;
pub mod prelude;
mod saved;
mod sizes;
mod transform;
mod value;

pub use batch::Batch;
pub use build::BuildContext;
pub use class_order::ClassOrder;
pub use compute::{ComputePath, PathMemory};
pub use cost::{Cost, LayerCost};
pub use counts::WordCounts;
pub use draws::Draws;
pub use error::{OutputError, Result};
pub use layer::OutputLayer;
pub use linear::Linear;
pub use options::{Loss, LossOptions, Reduction};
pub use pick::{check_k, sample_from, sample_logits, top_k_of};
pub use saved::copy_saved;
pub use sizes::{INIT_RANGE, LayerSizes, check_elements, check_init_range};
pub use transform::{transform_logits, transform_name};
pub use value::{ExactNll, LogProb, TopK, TrainingLoss};

pub use lexmax_kernels::LogitTransform;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
