//! Heads whose logits are not of rank `D`: mixture of softmaxes and sigsoftmax.
//!
//! A softmax over `W h` gives a matrix of log-probabilities of rank at most `D + 1` over all contexts; language needs more
//! (Yang et al. 2018, "Breaking the Softmax Bottleneck", arXiv 1711.03953).
//! * [`Mixture`]: a weighted sum of `K` softmaxes over the same class weights.
//! * [`Sigsoftmax`]: one softmax over a nonlinear function of the logits, at the cost of a plain one.

mod fused;
mod mos;
mod mos_config;
pub mod sigsoftmax;
mod top_k;

pub use mos::Mixture;
pub use mos_config::MixtureConfig;
pub use sigsoftmax::{Sigsoftmax, SigsoftmaxConfig};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
