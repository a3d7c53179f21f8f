//! Label smoothing of a mixture: `log p(c)` of every class and the responsibilities of the
//! components for it.
//!
//! Both need all normalisers of a token, so a third sweep runs between the two of a mixture, and
//! the last sweep computes the responsibilities again. Neither holds more than one class of a chunk
//! at a time.

use super::buffers::{Chunk, ComponentFactors, SmoothingBuffers, Worker};
use super::span::Span;
use super::sweep::{Call, Job};
use crate::element::Element;
use crate::simd::dispatch;
use crate::tile::Shape;
use crate::tile::gradient::TileState;
use crate::tile::shares::{Shares, SharesOutput};

impl<T: Element> Call<'_, T> {
    /// Sweep between the two of a mixture: sums over a span's classes of the responsibilities of
    /// every row and of `log p` of every token.
    pub fn share_sums(
        &self,
        worker: &mut Worker<T>,
        job: &mut Job<'_, '_, T>,
        chunk: &Chunk<T>,
        joint: &ComponentFactors<T>,
        rows: usize,
    ) {
        worker.smoothing.start(rows);
        job.span.start_smoothing(rows, joint.components);
        for (index, block) in self.plan.blocks_of(job.number).enumerate() {
            let (shape, from) = self.reload(worker, job, (index, block), chunk, rows);
            let Span { tiles, share_sums, log_prob_sums, .. } = &mut *job.span;
            let tile = self.tile(job.number, index, shape, tiles, &mut worker.tile);
            let SmoothingBuffers { exponentials, shares, partial } = &mut worker.smoothing;
            let wanted = SharesOutput::Sums { partial, shares: share_sums, log_probs: log_prob_sums };
            self.shares(block, (tile, shape, from), &chunk.max, joint, [exponentials, shares], wanted);
        }
    }

    /// Replaces the logits of a tile by their gradient, without the targets' own terms.
    #[allow(clippy::too_many_arguments)]
    pub fn smoothed_gradient(
        &self,
        block: usize,
        tile: (&mut [T], Shape, TileState),
        chunk: &Chunk<T>,
        joint: &ComponentFactors<T>,
        buffers: &mut SmoothingBuffers<T>,
        mass: &[T],
        bias: Option<&mut [f64]>,
    ) {
        let wanted = SharesOutput::Gradient { mass, spread: &chunk.spread, bias };
        self.shares(block, tile, &chunk.max, joint, [&mut buffers.exponentials, &mut buffers.shares], wanted);
    }

    fn shares(
        &self,
        block: usize,
        (tile, shape, from): (&mut [T], Shape, TileState),
        max: &[T],
        joint: &ComponentFactors<T>,
        [exponentials, shares]: [&mut [T]; 2],
        wanted: SharesOutput<'_, T>,
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

/// `sum_c w_c r_k(c)` of a row over all spans, in their order.
pub(crate) fn share_sum<T>(jobs: &[Job<'_, '_, T>], row: usize) -> f64 {
    jobs.iter().map(|job| job.span.share_sums[row]).sum()
}

/// `sum_c w_c log p(c)` of a token over all spans, in their order.
pub(crate) fn log_prob_sum<T>(jobs: &[Job<'_, '_, T>], token: usize) -> f64 {
    jobs.iter().map(|job| job.span.log_prob_sums[token]).sum()
}
