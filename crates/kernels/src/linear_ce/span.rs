//! Spans: neighbouring blocks that a thread takes as one piece of work, and what their sweep
//! leaves.
//!
//! Nothing here belongs to a thread. Whoever is free takes a span (`crate::queue`); the sums of all
//! spans are joined in their order, so the bits of a result do not depend on who swept what.
//! Operands of products are aligned, since some libraries round by where they start.

use super::filter::Filtered;
use super::plan::{Plan, Sizes, Task};
use super::rows::RowSums;
use crate::buffer::{Aligned, held, refill, sized};
use crate::element::Element;
use crate::tile::stride;

/// Buffers of one span.
#[derive(Debug, Default)]
pub(crate) struct Span<T> {
    /// Kept tiles, one after the other.
    pub tiles: Aligned<T>,
    /// Maximum of each row in each kept tile (in each block, where gradients are filtered).
    pub block_max: Vec<T>,
    /// Sum of each row's exponentials in each block, relative to the block's maximum, where
    /// gradients are filtered.
    pub block_sum: Vec<T>,
    /// Sums of each row over the blocks swept so far.
    pub sums: Vec<RowSums>,
    /// Gradient of the chunk's hidden states from this span's classes.
    pub d_hidden: Aligned<T>,
    /// Gradient of the bias of this span's classes.
    pub d_bias: Vec<f64>,
    /// Sum of `w_c r_k(c)` over the classes, for each row, for label smoothing of a mixture.
    pub share_sums: Vec<f64>,
    /// Sum of `w_c log p(c)` over the classes, for each token.
    pub log_prob_sums: Vec<f64>,
    /// Counts of the entries that a filter left out so far.
    pub filtered: Filtered,
}

impl<T: Element> Span<T> {
    pub fn fit(&mut self, plan: &Plan, sizes: Sizes, task: Task, span: usize) {
        let padded = stride(plan.chunk);
        let (blocks, kept) = (plan.blocks_of(span).len(), plan.kept_of(span));
        self.tiles.resize(kept * plan.block * padded);
        sized(&mut self.block_max, if plan.filtered { blocks } else { kept } * padded);
        sized(&mut self.block_sum, if plan.filtered { blocks } else { 0 } * padded);
        let gradients = task != Task::Forward;
        // The first block's gradient overwrites what is there.
        self.d_hidden.resize(if gradients { plan.chunk * sizes.hidden_size } else { 0 });
        let classes = plan.classes_of_span(span, sizes.vocab_size).len();
        refill(&mut self.d_bias, if gradients { classes } else { 0 });
        self.filtered = Filtered::default();
    }

    /// Forgets the sums of the chunk before.
    pub fn start_sums(&mut self, rows: usize) {
        self.sums.clear();
        self.sums.resize(rows, RowSums::NONE);
    }

    /// Zeros the sums of label smoothing, for a chunk of so many rows.
    pub fn start_smoothing(&mut self, rows: usize, components: usize) {
        refill(&mut self.share_sums, rows);
        refill(&mut self.log_prob_sums, rows / components);
    }
}

held!(Span { tiles, block_max, block_sum, sums, d_hidden, d_bias, share_sums, log_prob_sums; filtered });
