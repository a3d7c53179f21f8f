//! Adaptive softmax: frequent words in a short head, rare words in clusters whose width shrinks
//! with their rank.
//!
//! [`Adaptive`] is the layer of Grave et al. 2017, "Efficient softmax approximation for GPUs",
//! arXiv 1609.04309. Its distribution is exactly normalised; what it gives up is the rank of the
//! logits of rare words, not the normaliser.
//!
//! On a CPU in f32 or f64 its loss, log-probabilities of targets, top-k and draws come from the
//! sweeps of [`lexmax_kernels`], elsewhere from libtorch operations over chunks of rows: same
//! numbers, see [`lexmax_output::fused::Compute`].
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod chunked;
mod config;
mod fused;
mod layer;
mod load;
mod partition;
mod parts;
mod sample;
mod search;
mod smoothing;
mod tail;

pub use config::AdaptiveConfig;
pub use layer::Adaptive;

/// Names that a program around one of these layers uses, those of every layer with them.
///
/// ```
/// use lexmax_adaptive::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = AdaptiveConfig::with_cutoffs([100, 400]);
/// let layer = Adaptive::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use lexmax_output::prelude::*;

    pub use crate::{Adaptive, AdaptiveConfig};
}

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "adaptive";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
