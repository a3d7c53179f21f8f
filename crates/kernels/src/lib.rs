//! Numeric pieces that know no tensor: slices and numbers in, slices and numbers out.
//!
//! * [`linear_ce`]: exact linear cross-entropy, loss and all gradients, in tiles that stay in the cache; never `[N, V]`.
//! * [`paths`]: words reached by two-way choices in a tree; gradients of the nodes on the paths only.
//! * [`two_level`]: a class, then a word of that class, by two sweeps of linear cross-entropy; gradients of the classes that occur only.
//! * [`query`]: exact top-k and exact draws in the same sweep.
//! * [`seed`]: one root seed, a generator of its own for every component.
//! * [`logspace`]: sums of probabilities that are given by their logarithms, in f64.
//!
//! Matrix products come from the `gemm` crate, one call on one thread at a time over that thread's own block; the sweeps
//! around them are written here, over vector instructions chosen at run time ([`Level`]).

mod element;
mod error;
pub mod linear_ce;
pub mod logspace;
pub mod paths;
mod pool;
pub mod query;
mod rows;
pub mod seed;
mod simd;
mod tile;
pub mod two_level;

pub use element::Element;
pub use error::{KernelError, Result};
pub use simd::Level;
