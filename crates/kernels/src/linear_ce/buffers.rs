//! Buffers of the sweeps: those that a thread uses for one block after the other, and the chunk of
//! rows that all threads read. What outlives a block is in `span.rs`.

use super::input::Linear;
use super::plan::{Plan, Sizes};
use crate::buffer::{Aligned, held, refill, sized};
use crate::element::Element;
use crate::tile::{Shape, stride};

/// Buffers of one thread, whose content lasts for one block.
#[derive(Debug, Default)]
pub(crate) struct Worker<T> {
    /// Tile for all blocks whose logits are not kept.
    pub tile: Aligned<T>,
    /// Largest logit of each row in the current tile, `[padded]`.
    pub max: Vec<T>,
    /// Sum of each row's exponentials in the current tile, relative to `max`, `[padded]`.
    pub sum: Vec<T>,
    /// Sum of each row's `w_c (z_c - max)` in the current tile, for label smoothing, `[padded]`.
    pub weighted: Vec<T>,
    /// Factor of each row's exponentials in the current tile, `[padded]`.
    pub mass: Vec<T>,
    /// Index of each row's target in the current block, or [`crate::tile::normalise::NO_TARGET`].
    pub places: Vec<u32>,
    /// Logit of each row's target, where the target is in the current block.
    pub target_logits: Vec<T>,
    /// Buffers for filtered gradients.
    pub filter: FilterBuffers<T>,
    /// Buffers for label smoothing of a mixture.
    pub smoothing: SmoothingBuffers<T>,
}

impl<T: Element> Worker<T> {
    pub fn fit(&mut self, plan: &Plan, sizes: Sizes) {
        let padded = stride(plan.chunk);
        self.tile.resize(if plan.needs_tile() { plan.block * padded } else { 0 });
        let per_row =
            [&mut self.max, &mut self.sum, &mut self.weighted, &mut self.mass, &mut self.target_logits];
        for numbers in per_row {
            refill(numbers, padded);
        }
        self.filter.fit(plan, sizes.hidden_size);
        self.places.resize(padded, 0);
    }
}

/// A chunk of rows, read by all threads: its hidden states and the factors of its rows.
#[derive(Debug, Default)]
pub(crate) struct Chunk<T> {
    /// Hidden states of the rows that are not ignored, contiguous, `[R, D]`.
    pub hidden: Aligned<T>,
    /// Target class of each row, `[R]`.
    pub targets: Vec<usize>,
    /// Largest logit of each row, for exponentials that are computed again, `[padded]`.
    pub max: Vec<T>,
    /// Factor of `exp(z - max)` in the gradient, temperature and upstream included, `[padded]`.
    pub mass: Vec<f64>,
    /// Factor of the class weights in the gradient, from label smoothing, `[padded]`.
    pub spread: Vec<T>,
    /// Term subtracted from the gradient at the target, `[padded]`.
    pub target: Vec<f64>,
    /// One over `sum_c exp(z_c - max)`, `[padded]`.
    pub share: Vec<f64>,
}

impl<T: Element> Chunk<T> {
    pub fn fit(&mut self, rows: usize, hidden_size: usize) {
        self.hidden.resize(rows * hidden_size);
        refill(&mut self.max, stride(rows));
        refill(&mut self.spread, stride(rows));
        self.mass.resize(stride(rows), 0.0);
        self.target.resize(stride(rows), 0.0);
        self.share.resize(stride(rows), 0.0);
    }

    /// Copies the rows that are not ignored, with their targets.
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

/// Buffers of one thread for the kept classes of a block; empty where nothing is filtered.
#[derive(Debug, Default)]
pub(crate) struct FilterBuffers<T> {
    /// Factor from the tile's exponentials to probabilities, `[padded]`.
    pub share: Vec<T>,
    /// Rows of the weight of the kept classes, then of its gradient, `[block, D]`.
    pub weight: Vec<T>,
    /// Bias of the kept classes.
    pub class_bias: Vec<T>,
    /// Logit offset of the kept classes.
    pub offset: Vec<T>,
    /// Gradient of the bias of the kept classes.
    pub d_bias: Vec<f64>,
    /// Whether some row gives the class a probability above the threshold, `[block]`.
    pub above: Vec<bool>,
    /// Probability of the class, summed over rows, `[block]`.
    pub total: Vec<f64>,
    /// Places of the kept classes in the block, ascending.
    pub kept: Vec<u32>,
}

impl<T: Element> FilterBuffers<T> {
    /// Makes the buffers fit.
    fn fit(&mut self, plan: &Plan, size: usize) {
        let (block, padded) = if plan.filtered { (plan.block, stride(plan.chunk)) } else { (0, 0) };
        for (numbers, len) in [
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
    }
}

/// Factors from logits to joint probabilities `p(k, c)` of components and classes, for the rows of
/// a chunk.
#[derive(Debug, Default)]
pub(crate) struct ComponentFactors<T> {
    /// Components of each token, `K`.
    pub components: usize,
    /// Factor of `exp(z_kc - max_k)`: `pi_k / sum_c exp(z_kc - max_k)`, zero for padding,
    /// `[padded]`.
    pub factor: Vec<T>,
    /// Term added to the logit in log space: `log pi_k - log sum_c exp z_kc`, `[padded]`.
    pub log: Vec<f64>,
}

/// Buffers of one thread for label smoothing of mixtures and of trees.
#[derive(Debug, Default)]
pub(crate) struct SmoothingBuffers<T> {
    /// Exponentials of one class, `[padded]`.
    pub exponentials: Vec<T>,
    /// Responsibilities of one class, `[padded]`.
    pub shares: Vec<T>,
    /// Sums over some classes in the element type, `[padded]`.
    pub partial: Vec<T>,
}

impl<T: Element> ComponentFactors<T> {
    pub fn new(components: usize, padded: usize) -> Self {
        Self { components, factor: vec![T::default(); padded], log: vec![0.0; padded] }
    }

    /// Starts the next chunk, of so many rows.
    pub fn start(&mut self, rows: usize) {
        self.factor[rows..].fill(T::default());
    }
}

impl<T: Element> SmoothingBuffers<T> {
    /// Sizes the buffers for a chunk of so many rows.
    pub fn start(&mut self, rows: usize) {
        let padded = Shape { rows, classes: 0 }.padded();
        for numbers in [&mut self.exponentials, &mut self.shares, &mut self.partial] {
            sized(numbers, padded);
        }
    }
}

held!(Worker { tile, max, sum, weighted, mass, places, target_logits, filter, smoothing });
held!(Chunk { hidden, targets, max, mass, spread, target, share });
held!(FilterBuffers { share, weight, class_bias, offset, d_bias, above, total, kept });
held!(SmoothingBuffers { exponentials, shares, partial });
