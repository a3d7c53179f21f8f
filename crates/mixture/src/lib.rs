//! Mixture of softmaxes: a head whose log-probabilities are not of rank `D`.
//!
//! A softmax over `W h` gives a matrix of log-probabilities of rank at most `D + 1` over all
//! contexts; language needs more (Yang et al. 2018, "Breaking the Softmax Bottleneck", arXiv
//! 1711.03953). [`Mixture`] is a weighted sum of `K` softmaxes over the same class weights.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod chunked;
mod fused;
mod mos;
mod mos_config;
mod top_k;

pub use mos::Mixture;
pub use mos_config::MixtureConfig;

/// Names that a program around one of these layers uses, those of every layer with them.
///
/// ```
/// use lexmax_mixture::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = MixtureConfig { components: 3, ..MixtureConfig::default() };
/// let layer = Mixture::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use lexmax_output::prelude::*;

    pub use crate::{Mixture, MixtureConfig};
}

/// Name of [`Mixture`] in configurations and messages.
pub(crate) const MOS: &str = "mos";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
