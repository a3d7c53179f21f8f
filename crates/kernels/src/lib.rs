//! Numeric pieces that know no tensor: slices and numbers in, slices and numbers out.
//!
//! * [`linear_ce`]: exact linear cross-entropy, loss and all gradients, in tiles that stay in the
//!   cache; never `[N, V]`.
//! * [`projection`]: some rows of the hidden states projected to another width, with gradients.
//! * [`tree`]: words reached by two-way choices in a tree; gradients of the nodes on the paths
//!   only.
//! * [`two_level`]: a class, then a word of that class, by two sweeps of linear cross-entropy;
//!   gradients of the classes that occur only.
//! * [`query`]: exact top-k and exact draws in the same sweep.
//! * [`sampled`]: losses over a target and a few negatives a row, with gradients of the touched
//!   rows alone.
//! * [`optim`]: optimizer steps on the rows of a table, and rows of one id added up.
//! * [`seed`]: one root seed, a generator of its own for every component.
//! * [`measure`]: measurement hooks for the figures that the plan counts with.
//! * [`dropout`]: masks of dropout.
//! * [`logspace`]: sums of probabilities that are given by their logarithms, in f64.
//!
//! Matrix products come from a library that the caller may choose ([`product`]), one call on one
//! thread at a time over that thread's own block; those of operands in bf16 and the sweeps around
//! all of them are written here, over vector instructions chosen at run time
//! ([`Level`]).
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod bf16;
mod buffer;
pub mod dropout;
mod element;
mod error;
pub mod linear_ce;
pub mod logspace;
pub mod measure;
pub mod optim;
mod parts;
mod pool;
pub mod product;
pub mod projection;
pub mod query;
mod queue;
mod row_gradients;
pub mod sampled;
pub mod seed;
mod simd;
mod tile;
mod transform;
pub mod tree;
pub mod two_level;

pub use element::Element;
pub use error::{KernelError, Result};
pub use pool::{Runner, set_runner};
pub use row_gradients::RowGradients;
pub use simd::Level;
pub use transform::LogitTransform;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
