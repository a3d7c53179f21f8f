//! Shared pieces of the benches: the layers that are compared, their inputs, and a check of each answer.

mod subject;

pub use subject::{LAYERS, Sizes, Subject, sizes};
