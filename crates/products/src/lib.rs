//! The fastest matrix product for the kernels on the machine at hand.
//!
//! Products of a tile's shapes take nine tenths of a sweep's time, and no library is the fastest
//! everywhere: it differs by processor and by shape. [`chosen`] measures them on the sweeps' own
//! shapes, once a machine, and keeps the answer; the environment variable [`VARIABLE`] decides
//! instead.

mod blas;
mod cache;
mod choice;
mod error;
mod machine;
mod race;

pub use blas::blas;
pub use cache::{file as kept_in, forget};
pub use choice::{Choice, Reason, VARIABLE, by_name, chosen, libraries};
pub use error::{ProductsError, Result};
pub use lexmax_kernels::product::has_bf16_instructions;
pub use race::{Rate, measure};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
