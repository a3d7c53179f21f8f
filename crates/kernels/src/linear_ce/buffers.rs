//! Buffers of the sweeps: those of each thread, and the chunk of rows that all threads read.

use super::filter::Filtered;
use super::input::Linear;
use super::plan::{Plan, Sizes, Task};
use super::rows::RowSums;
use crate::buffer::{Aligned, held, refill};
use crate::element::Element;
use crate::tile::{Shape, stride};

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(crate) struct Worker<T> {
    /// Tiles one after the other: the kept ones, then the one that is used again and again.
    pub tiles: Aligned<T>,
    /// Maximum of each row in each kept tile (in each block, where gradients are filtered).
    pub block_max: Vec<T>,
    /// Of the tile at hand, per row.
    pub max: Vec<T>,
    pub sum: Vec<T>,
    pub weighted: Vec<T>,
    pub mass: Vec<T>,
    pub places: Vec<u32>,
    pub target_logits: Vec<T>,
    /// Of this thread's blocks so far.
    pub sums: Vec<RowSums>,
    /// This thread's share of the gradient of the chunk's hidden states.
    pub d_hidden: Vec<T>,
    /// Of this thread's classes.
    pub d_bias: Vec<f64>,
    /// For filtered gradients.
    pub filter: FilterBuffers<T>,
    /// For label smoothing of a mixture.
    pub smoothing: SmoothingBuffers<T>,
}

impl<T: Element> Worker<T> {
    pub fn fit(&mut self, plan: &Plan, sizes: Sizes, task: Task, thread: usize) {
        let padded = stride(plan.chunk);
        self.tiles.resize(plan.tiles() * plan.block * padded);
        let per_row =
            [&mut self.max, &mut self.sum, &mut self.weighted, &mut self.mass, &mut self.target_logits];
        for numbers in per_row {
            refill(numbers, padded);
        }
        let blocks = plan.blocks_of(thread);
        refill(&mut self.block_max, if plan.filtered { blocks.len() } else { plan.kept } * padded);
        let filtered_blocks = if plan.filtered { blocks.len() } else { 0 };
        self.filter.fit(filtered_blocks, plan.block, sizes.hidden_size, padded);
        self.places.resize(padded, 0);
        let gradients = task != Task::Forward;
        refill(&mut self.d_hidden, if gradients { plan.chunk * sizes.hidden_size } else { 0 });
        let classes = (blocks.end * plan.block).min(sizes.vocab_size) - blocks.start * plan.block;
        refill(&mut self.d_bias, if gradients { classes } else { 0 });
    }
}

/// What all threads read: the chunk's hidden states and the factors of its rows.
#[derive(Debug, Default)]
pub(crate) struct Chunk<T> {
    /// The rows that count, one after the other, `[R, D]`.
    pub hidden: Vec<T>,
    pub targets: Vec<usize>,
    /// Largest logit, for exponentials that were not kept.
    pub max: Vec<T>,
    /// Factor of `exp(z - max)`, temperature and upstream included.
    pub mass: Vec<f64>,
    pub spread: Vec<T>,
    /// What is subtracted at the target.
    pub target: Vec<f64>,
    /// One over `sum_c exp(z_c - max)`.
    pub share: Vec<f64>,
}

impl<T: Element> Chunk<T> {
    pub fn fit(&mut self, rows: usize, hidden_size: usize) {
        refill(&mut self.hidden, rows * hidden_size);
        refill(&mut self.max, stride(rows));
        refill(&mut self.spread, stride(rows));
        self.mass.resize(stride(rows), 0.0);
        self.target.resize(stride(rows), 0.0);
        self.share.resize(stride(rows), 0.0);
    }

    /// Copies the rows that count.
    pub fn gather(&mut self, linear: &Linear<'_, T>, targets: &[i64], rows: &[usize]) {
        let size = linear.hidden_size;
        self.targets.clear();
        for (at, row) in rows.iter().enumerate() {
            self.hidden[at * size..(at + 1) * size]
                .copy_from_slice(&linear.hidden[row * size..(row + 1) * size]);
            // Checked before: a target that counts names a class.
            self.targets.push(targets[*row] as usize);
        }
        // Padding has no gradient, and a maximum under which no bias has an exponential that is not
        // finite: zero times infinity is no number, and sums over rows would have it.
        let highest = T::from_f64(-T::LOWEST.to_f64());
        for padding in rows.len()..self.max.len() {
            self.max[padding] = highest;
            self.mass[padding] = 0.0;
            self.spread[padding] = T::default();
        }
    }

    /// Copies neighbouring rows, without targets.
    pub fn gather_rows(&mut self, linear: &Linear<'_, T>, rows: std::ops::Range<usize>) {
        let size = linear.hidden_size;
        self.hidden[..rows.len() * size].copy_from_slice(&linear.hidden[rows.start * size..rows.end * size]);
        self.targets.clear();
        // No block has this class.
        self.targets.resize(rows.len(), usize::MAX);
    }
}

/// Buffers of one thread for what is kept of a block; empty where nothing is filtered.
#[derive(Debug, Default)]
pub(crate) struct FilterBuffers<T> {
    /// Sum of each row's exponentials in each block, relative to the block's maximum.
    pub block_sum: Vec<T>,
    /// `[padded]`: from the tile's exponentials to probabilities.
    pub share: Vec<T>,
    /// Rows of the weight, then of its gradient, `[block, D]`.
    pub weight: Vec<T>,
    pub class_bias: Vec<T>,
    pub offset: Vec<T>,
    pub d_bias: Vec<f64>,
    pub above: Vec<bool>,
    pub total: Vec<f64>,
    /// Places of the kept classes in the block, ascending.
    pub kept: Vec<u32>,
    /// What was left out so far.
    pub filtered: Filtered,
}

impl<T: Element> FilterBuffers<T> {
    /// Makes the buffers fit; for no blocks they hold nothing.
    pub fn fit(&mut self, blocks: usize, block: usize, size: usize, padded: usize) {
        let (block, padded) = if blocks == 0 { (0, 0) } else { (block, padded) };
        for (numbers, len) in [
            (&mut self.block_sum, blocks * padded),
            (&mut self.share, padded),
            (&mut self.weight, block * size),
            (&mut self.class_bias, block),
            (&mut self.offset, block),
        ] {
            refill(numbers, len);
        }
        refill(&mut self.d_bias, block);
        refill(&mut self.total, block);
        refill(&mut self.above, block);
        refill(&mut self.kept, block);
        self.filtered = Filtered::default();
    }
}

/// The rows of a chunk as components of their tokens.
#[derive(Debug, Default)]
pub(crate) struct Joint<T> {
    /// `K`.
    pub components: usize,
    /// `pi_k / sum_c exp(z_kc - max_k)`, zero for padding.
    pub factor: Vec<T>,
    /// `log pi_k - log sum_c exp z_kc`.
    pub log: Vec<f64>,
}

/// Buffers of one thread, for the smoothing of mixtures and of trees.
#[derive(Debug, Default)]
pub(crate) struct SmoothingBuffers<T> {
    pub exponentials: Vec<T>,
    pub shares: Vec<T>,
    pub partial: Vec<T>,
    /// `sum_c w_c r_k(c)` over this thread's classes, for each row.
    pub share_sums: Vec<f64>,
    /// `sum_c w_c log p(c)` over this thread's classes, for each token.
    pub log_prob_sums: Vec<f64>,
}

impl<T: Element> Joint<T> {
    pub fn new(components: usize, padded: usize) -> Self {
        Self { components, factor: vec![T::default(); padded], log: vec![0.0; padded] }
    }

    /// The next chunk, of so many rows.
    pub fn start(&mut self, rows: usize) {
        self.factor[rows..].fill(T::default());
    }
}

impl<T: Element> SmoothingBuffers<T> {
    /// Makes room for a chunk of so many rows, with sums of nothing.
    pub fn start(&mut self, rows: usize, components: usize) {
        let padded = Shape { rows, classes: 0 }.padded();
        for numbers in [&mut self.exponentials, &mut self.shares, &mut self.partial] {
            refill(numbers, padded);
        }
        refill(&mut self.share_sums, rows);
        refill(&mut self.log_prob_sums, rows / components);
    }
}

held!(Worker {
    tiles,
    block_max,
    max,
    sum,
    weighted,
    mass,
    places,
    target_logits,
    sums,
    d_hidden,
    d_bias,
    filter,
    smoothing
});
held!(Chunk { hidden, targets, max, mass, spread, target, share });
held!(FilterBuffers { block_sum, share, weight, class_bias, offset, d_bias, above, total, kept; filtered });
held!(SmoothingBuffers { exponentials, shares, partial, share_sums, log_prob_sums });
