//! Exact softmax over all classes, and its logit transforms.
//!
//! [`Full`] computes `log p(c | h) = z_c - log sum_j exp(z_j)` with `z = f(W h + b)`, where `f` is the temperature and
//! the soft cap of [`transform`]. The training loss may add the z-loss, the focal factor or the logit adjustment.

mod config;
mod layer;
pub mod transform;

pub use config::{FullConfig, Temperature};
pub use layer::Full;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
