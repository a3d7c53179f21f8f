//! Numeric pieces that know no tensor: slices and numbers in, slices and numbers out.
//!
//! * [`seed`]: one root seed, a generator of its own for every component.
//! * [`logspace`]: sums of probabilities that are given by their logarithms, in f64.

pub mod logspace;
pub mod seed;
