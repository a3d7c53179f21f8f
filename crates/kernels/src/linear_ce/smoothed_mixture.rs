//! What label smoothing of a mixture adds: `log p(c)` of every class and the components' shares in it.
//!
//! They need all normalisers of a token, so they are a sweep between the two of a mixture; the last one makes the shares once more
//! on its way. Neither holds more than one class of a chunk at a time.

use super::sweep::{Call, Job};
use super::workspace::{Chunk, Worker, resize};
use crate::element::Element;
use crate::simd::dispatch;
use crate::tile::Shape;
use crate::tile::gradient::TileState;
use crate::tile::shares::{Shares, Wanted};

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
pub(crate) struct Room<T> {
    exponentials: Vec<T>,
    shares: Vec<T>,
    pub partial: Vec<T>,
    /// `sum_c w_c r_k(c)` over this thread's classes, for each row.
    share_sums: Vec<f64>,
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

impl<T: Element> Room<T> {
    /// Makes room for a chunk of so many rows, with sums of nothing.
    pub fn start(&mut self, rows: usize, components: usize) {
        let padded = Shape { rows, classes: 0 }.padded();
        for numbers in [&mut self.exponentials, &mut self.shares, &mut self.partial] {
            resize(numbers, padded);
        }
        resize(&mut self.share_sums, rows);
        resize(&mut self.log_prob_sums, rows / components);
    }

    pub fn bytes(&self) -> usize {
        let numbers = [&self.exponentials, &self.shares, &self.partial];
        numbers.iter().map(|numbers| numbers.capacity() * size_of::<T>()).sum::<usize>()
            + (self.share_sums.capacity() + self.log_prob_sums.capacity()) * size_of::<f64>()
    }
}

impl<T: Element> Call<'_, T> {
    /// The sweep between: sums over this thread's classes, of the shares of every row and of `log p` of every token.
    pub fn share_sums(&self, job: &mut Job<'_, '_, T>, chunk: &Chunk<T>, joint: &Joint<T>, rows: usize) {
        job.worker.smoothing.start(rows, joint.components);
        for (index, block) in self.plan.blocks_of(job.thread).enumerate() {
            let (shape, from) = self.reload(job.worker, index, block, chunk, rows);
            let Worker { tiles, smoothing, .. } = &mut *job.worker;
            let tile = &mut tiles.as_mut_slice()[self.tile_range(index, shape)];
            let Room { exponentials, shares, partial, share_sums, log_prob_sums } = smoothing;
            let wanted = Wanted::Sums { partial, shares: share_sums, log_probs: log_prob_sums };
            self.shares(block, (tile, shape, from), &chunk.max, joint, [exponentials, shares], wanted);
        }
    }

    /// From the logits of a tile to their gradient, but for the targets' own terms.
    #[allow(clippy::too_many_arguments)]
    pub fn smoothed_gradient(
        &self,
        block: usize,
        tile: (&mut [T], Shape, TileState),
        chunk: &Chunk<T>,
        joint: &Joint<T>,
        room: &mut Room<T>,
        mass: &[T],
        bias: Option<&mut [f64]>,
    ) {
        let wanted = Wanted::Gradient { mass, spread: &chunk.spread, bias };
        self.shares(block, tile, &chunk.max, joint, [&mut room.exponentials, &mut room.shares], wanted);
    }

    fn shares(
        &self,
        block: usize,
        (tile, shape, from): (&mut [T], Shape, TileState),
        max: &[T],
        joint: &Joint<T>,
        [exponentials, shares]: [&mut [T]; 2],
        wanted: Wanted<'_, T>,
    ) {
        let classes = self.classes(block);
        let weights = self.class_weights.map(|weights| &weights[classes.clone()]);
        let sweep = Shares {
            tile,
            shape,
            transform: self.transform.of_block(classes),
            from,
            components: joint.components,
            max,
            joint: &joint.factor,
            log_joint: &joint.log,
            weights,
            exponentials,
            shares,
            wanted,
        };
        dispatch(self.level, sweep);
    }
}

/// `sum_c w_c r_k(c)` of a row over all threads, in their order.
pub(crate) fn share_sum<T>(jobs: &[Job<'_, '_, T>], row: usize) -> f64 {
    jobs.iter().map(|job| job.worker.smoothing.share_sums[row]).sum()
}

/// `sum_c w_c log p(c)` of a token over all threads, in their order.
pub(crate) fn log_prob_sum<T>(jobs: &[Job<'_, '_, T>], token: usize) -> f64 {
    jobs.iter().map(|job| job.worker.smoothing.log_prob_sums[token]).sum()
}
