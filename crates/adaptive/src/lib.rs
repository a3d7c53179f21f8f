//! Adaptive softmax: frequent words in a short head, rare words in clusters whose width shrinks
//! with their rank.
//!
//! [`Adaptive`] is the layer of Grave et al. 2017, "Efficient softmax approximation for GPUs",
//! arXiv 1609.04309. Its distribution is exactly normalised; what it gives up is the rank of the
//! logits of rare words, not the normaliser.
//!
//! On a CPU in f32 or f64 its loss, log-probabilities of targets, top-k and draws come from the
//! sweeps of [`lexmax_kernels`], elsewhere from plain libtorch operations: same numbers, see
//! [`lexmax_output::fused::Compute`].
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod config;
mod fused;
mod layer;
mod load;
mod partition;
mod sample;
mod search;
mod tail;

pub use config::AdaptiveConfig;
pub use layer::Adaptive;

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "adaptive";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
