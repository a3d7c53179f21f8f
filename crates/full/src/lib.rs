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

/// Names that a program around one of these layers uses, those of every layer with them.
///
/// ```
/// use lexmax_full::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = FullConfig { soft_cap: Some(30.0), ..FullConfig::default() };
/// let layer = Full::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use lexmax_output::prelude::*;

    pub use crate::{Full, FullConfig, SigsoftmaxConfig, Temperature};
}

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "full";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
