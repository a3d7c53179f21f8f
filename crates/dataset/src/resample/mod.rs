//! Sampling by class: how often each class, and each of its examples, is drawn in a pass.

mod order;
mod quotas;

pub use order::Sampler;
pub use quotas::{PassLength, Sampling};
