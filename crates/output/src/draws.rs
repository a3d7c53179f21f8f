//! The sequence of generators that a layer keeps for losses without a caller's generator.

use std::cell::Cell;

use lexmax_kernels::seed::{Generator, generator};

use crate::Result;

/// Name of the stream that negatives come from, in [`generator`].
pub(crate) const STREAM: &str = "negatives";

/// A layer's own sequence of generators: call `n` of
/// [`OutputLayer::loss`](crate::OutputLayer::loss) draws its negatives from
/// `generator(seed, "negatives", n)`.
///
/// Nothing but the number of calls is state, so a checkpoint that holds [`Draws::calls`] beside the
/// parameters, and a program that gives it to [`Draws::resume_at`], go on with the same bits.
///
/// ```
/// use lexmax_output::Draws;
///
/// let draws = Draws::new(1);
/// assert_eq!(draws.calls(), 0);
/// draws.resume_at(1200); // the number in the checkpoint
/// assert_eq!(draws.calls(), 1200);
/// ```
#[derive(Debug)]
pub struct Draws {
    seed: u64,
    /// A layer is used by one thread at a time, as its tensors are, so a cell is enough.
    calls: Cell<u64>,
}

impl Draws {
    /// A sequence from its start, for a layer that is built with `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, calls: Cell::new(0) }
    }

    /// Number of calls so far that gave a loss, which is the index of the next generator.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Goes on as after `calls` calls.
    pub fn resume_at(&self, calls: u64) {
        self.calls.set(calls);
    }

    /// Hands out the next generator; a call that fails leaves it the next one.
    pub(crate) fn next<T>(&self, call: impl FnOnce(&mut Generator) -> Result<T>) -> Result<T> {
        let index = self.calls();
        let answer = call(&mut generator(self.seed, STREAM, index))?;
        self.resume_at(index.wrapping_add(1));
        Ok(answer)
    }
}
