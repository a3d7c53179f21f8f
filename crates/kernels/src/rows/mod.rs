//! Rows of a table: what an optimizer does where a step reads `R` of `V` rows of a weight `[V, D]`.
//!
//! * [`Merge`] adds up the rows of ids that occur several times: the gradient of an embedding.
//! * [`update`] moves a parameter and its state by one step of a [`Rule`], by a dense gradient or by one of few rows.
//!
//! Both are slices in, slices out, and give the same bits with any number of threads and any vector instructions: every
//! element is computed by one expression, without fused multiply-add.

mod check;
mod element;
mod merge;
mod rule;
mod sweep;
#[cfg(test)]
mod tests;
mod update;

pub use element::RowElement;
pub use merge::{Merge, rising};
pub use rule::Rule;
pub use update::{Gradient, Others, Tables, update};

/// Numbers that make a thread of its own worth starting.
const NUMBERS_PER_THREAD: usize = 1 << 18;

/// How many of `threads` are worth starting.
fn worth(threads: usize, numbers: usize) -> usize {
    threads.min(numbers / NUMBERS_PER_THREAD).max(1)
}
