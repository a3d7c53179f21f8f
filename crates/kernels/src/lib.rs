//! Numeric pieces that know no tensor: slices and numbers in, slices and numbers out.
//!
//! * [`linear_ce`]: exact linear cross-entropy, loss and all gradients, in tiles that stay in the cache; never `[N, V]`.
//! * [`query`]: exact top-k and exact draws in the same sweep.
//! * [`rows`]: optimizer steps on the rows of a table, and rows of one id added up.
//! * [`seed`]: one root seed, a generator of its own for every component.
//! * [`mask`]: masks of dropout.
//! * [`logspace`]: sums of probabilities that are given by their logarithms, in f64.
//!
//! Matrix products come from the `gemm` crate, one call on one thread at a time over that thread's own block; the sweeps
//! around them are written here, over vector instructions chosen at run time ([`Level`]).

mod element;
mod error;
pub mod linear_ce;
pub mod logspace;
pub mod mask;
mod pool;
pub mod query;
pub mod rows;
pub mod seed;
mod simd;
mod tile;

pub use element::Element;
pub use error::{KernelError, Result};
pub use simd::Level;
