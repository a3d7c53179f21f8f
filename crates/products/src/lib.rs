//! The fastest matrix product for the kernels on the machine at hand.
//!
//! Products of a tile's shapes take nine tenths of a sweep's time, and no library is the fastest
//! everywhere: on AMD processors the crate `gemm` does two to five times what MKL does, on Intel
//! processors MKL is ahead. [`chosen`] measures both on the sweeps' own shapes, once a machine, and
//! keeps the answer; the environment variable [`VARIABLE`] decides instead.

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
pub use race::{Rate, measure};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
