//! Rows of a table: what an optimizer does where a step reads `R` of `V` rows of a weight `[V, D]`.
//!
//! * [`Merge`] adds up the rows of ids that occur several times: the gradient of an embedding.
//! * [`square_sum`] is the squared norm of a gradient.
//! * [`update`] moves a parameter and its state by one step of a [`Rule`], by a dense gradient or
//!   by one of few rows.
//!
//! All are slices in, slices out, and give the same bits with any number of threads and any vector
//! instructions: every element is computed by one expression, without fused multiply-add.

mod check;
mod merge;
mod norm;
mod rule;
mod sweep;
#[cfg(test)]
mod tests;
mod update;

pub use merge::{Merge, rising};
pub use norm::square_sum;
pub use rule::Rule;
pub use update::{Gradient, Others, Tables, update};

use crate::pool;

/// Number of threads, at most `threads`, that so many elements keep busy. It changes no result:
/// those of this module are the same bits on any number of threads.
fn worth(threads: usize, numbers: usize) -> usize {
    // A pass moves some 10 numbers a nanosecond; a thread takes tens of microseconds to start, one
    // that is awake two or three.
    let numbers_per_thread = if pool::has_runner() { 1 << 15 } else { 1 << 18 };
    threads.min(numbers / numbers_per_thread).max(1)
}
