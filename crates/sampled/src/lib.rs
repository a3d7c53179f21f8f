//! Layers that train on a few sampled classes and evaluate exactly over all of them.
//!
//! [`Sampled`] is a linear layer and softmax, `p(c | h) = exp(z_c) / sum_j exp(z_j)`,
//! `z = W h + b`, whose training loss sees the target and `S` sampled classes only. Three choices
//! make a method:
//! * [`objective`]: what is computed from the target and the negatives (sampled softmax, NCE,
//!   negative sampling, one-vs-each);
//! * [`proposal`]: which distribution `q` the negatives come from (uniform, log-uniform, unigram,
//!   the batch itself);
//! * [`expected_count`]: how often a class is expected among them (with replacement, or unique
//!   draws).
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod config;
pub mod expected_count;
mod fused;
mod layer;
pub mod negatives;
pub mod objective;
pub mod proposal;
pub mod sampler;
mod seen;
mod source;

pub use config::{NegativeSets, ProposalKind, SampledConfig};
pub use expected_count::ExpectedCount;
pub use layer::Sampled;
pub use negatives::Negatives;
pub use objective::Objective;
pub use proposal::Proposal;
pub use sampler::Sampler;

/// Names that a program around one of these layers uses, those of every layer with them.
///
/// ```
/// use lexmax_sampled::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = SampledConfig { samples: Some(50), ..SampledConfig::default() };
/// let layer = Sampled::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use lexmax_output::prelude::*;

    pub use crate::{NegativeSets, Objective, ProposalKind, Sampled, SampledConfig};
}

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "sampled";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
