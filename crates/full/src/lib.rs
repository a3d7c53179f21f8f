//! Exact softmax over all classes, and its logit transforms.
//!
//! [`Full`] computes `log p(c | h) = z_c - log sum_j exp(z_j)` with
//! `z = f((W h + b) / temperature)`, where `f` is one of [`lexmax_output::LogitTransform`], such as
//! the soft cap or sigsoftmax. The training loss may add the z-loss, the focal factor or the logit
//! adjustment of [`terms`].
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod config;
mod layer;
mod load;
pub mod terms;

pub use config::{FullConfig, SigsoftmaxConfig, Temperature};
pub use layer::Full;

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "full";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
