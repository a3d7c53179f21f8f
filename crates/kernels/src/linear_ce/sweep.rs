//! The two sweeps of one thread over the blocks of one span.

use super::buffers::{Chunk, ComponentFactors, Worker};
use super::input::Linear;
use super::options::Options;
use super::plan::Plan;
use super::span::Span;
use super::targets::targets;
use crate::buffer::Aligned;
use crate::element::Element;
use crate::product::ProductLibrary;
use crate::simd::{Level, dispatch};
use crate::tile::gradient::{Gradient, TileState};
use crate::tile::normalise::{Keep, NO_TARGET, Normalise};
use crate::tile::{Shape, Transform, product, stride};

/// Arguments and plan of one call, read by all threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a, T> {
    pub linear: Linear<'a, T>,
    pub transform: Transform<'a, T>,
    pub class_weights: Option<&'a [T]>,
    pub smoothed: bool,
    /// Whether kept tiles hold logits although exponentials would do.
    pub keeps_logits: bool,
    /// Whether maxima and sums of all blocks are kept for a filtered second sweep.
    pub filtered: bool,
    pub plan: Plan,
    pub level: Level,
    pub products: ProductLibrary,
    /// Whether the targets' own terms stay out of the tile, since the products round what is in it.
    pub exact_targets: bool,
}

/// One span: its buffers, and the rows of the weight's gradient that belong to its classes.
#[derive(Debug)]
pub(crate) struct Job<'a, 'g, T> {
    pub number: usize,
    pub span: &'a mut Span<T>,
    pub d_weight: Option<&'g mut [T]>,
}

impl<'a, T: Element> Call<'a, T> {
    pub fn new(
        linear: Linear<'a, T>,
        options: &Options<'a, T>,
        plan: Plan,
        level: Level,
        products: ProductLibrary,
    ) -> Self {
        Self {
            linear,
            transform: options.transform(&linear),
            class_weights: options.class_weights,
            smoothed: options.label_smoothing > 0.0,
            keeps_logits: false,
            filtered: plan.filtered,
            plan,
            level,
            products,
            exact_targets: false,
        }
    }

    /// Content of a kept tile: exponentials, so that each is computed once, or logits where a
    /// transform's slope needs them again.
    fn keep(&self) -> Keep {
        if self.transform.is_affine() && !self.keeps_logits { Keep::Exponentials } else { Keep::Logits }
    }

    pub fn classes(&self, block: usize) -> std::ops::Range<usize> {
        self.plan.classes_of(block, self.linear.vocab_size())
    }

    pub fn weight(&self, classes: &std::ops::Range<usize>) -> &'a [T] {
        &self.linear.weight[classes.start * self.linear.hidden_size..classes.end * self.linear.hidden_size]
    }

    /// Whether the tile of a span's `index`th block is kept between the sweeps.
    pub fn keeps(&self, span: usize, index: usize) -> bool {
        index < self.plan.kept_of(span)
    }

    /// Tile of a span's `index`th block: its own where it is kept, else the thread's.
    pub fn tile<'t>(
        &self,
        span: usize,
        index: usize,
        shape: Shape,
        kept: &'t mut Aligned<T>,
        other: &'t mut Aligned<T>,
    ) -> &'t mut [T] {
        if self.keeps(span, index) {
            let start = index * self.plan.block * stride(self.plan.chunk);
            &mut kept.as_mut_slice()[start..start + shape.len()]
        } else {
            &mut other.as_mut_slice()[..shape.len()]
        }
    }

    /// Raw logits of a block; padding is zero, so that no sweep meets what an earlier call left
    /// there.
    pub fn logits(&self, tile: &mut [T], shape: Shape, weight: &[T], hidden: &[T]) {
        product::logits(&self.products, tile, shape, weight, hidden, self.linear.hidden_size);
        if shape.rows < shape.padded() {
            for class in tile.chunks_exact_mut(shape.stride()) {
                class[shape.rows..shape.padded()].fill(T::default());
            }
        }
    }

    /// First sweep: sums of a span's blocks for every row of the chunk.
    pub fn sums(&self, worker: &mut Worker<T>, job: &mut Job<'_, '_, T>, chunk: &Chunk<T>, rows: usize) {
        job.span.start_sums(rows);
        for (index, block) in self.plan.blocks_of(job.number).enumerate() {
            let kept = self.keeps(job.number, index);
            let keep = if kept { self.keep() } else { Keep::Logits };
            self.sums_of_block(worker, job, (index, block), keep, chunk, rows);
            let start = index * stride(self.plan.chunk);
            if kept || self.filtered {
                job.span.block_max[start..start + rows].copy_from_slice(&worker.max[..rows]);
            }
            if self.filtered {
                job.span.block_sum[start..start + rows].copy_from_slice(&worker.sum[..rows]);
            }
        }
    }

    /// The first sweep over one block. Afterwards the tile holds what `keep` says.
    pub fn sums_of_block<'t>(
        &self,
        worker: &'t mut Worker<T>,
        job: &'t mut Job<'_, '_, T>,
        (index, block): (usize, usize),
        keep: Keep,
        chunk: &Chunk<T>,
        rows: usize,
    ) -> &'t [T] {
        let classes = self.classes(block);
        let shape = Shape { rows, classes: classes.len() };
        let Span { tiles, sums, .. } = &mut *job.span;
        let tile = self.tile(job.number, index, shape, tiles, &mut worker.tile);
        let hidden = &chunk.hidden[..rows * self.linear.hidden_size];
        self.logits(tile, shape, self.weight(&classes), hidden);
        place_targets(&mut worker.places[..rows], &chunk.targets, &classes);
        let weights = self.class_weights.map(|weights| &weights[classes.clone()]);
        dispatch(
            self.level,
            Normalise {
                tile: &mut *tile,
                shape,
                transform: self.transform.of_block(classes.clone()),
                keep,
                max: &mut worker.max,
                sum: &mut worker.sum,
                weighted: self.smoothed.then_some((&mut worker.weighted[..], weights)),
                targets: Some((&worker.places[..rows], &mut worker.target_logits)),
            },
        );
        let block_weight = match weights {
            _ if !self.smoothed => 0.0,
            Some(weights) => weights.iter().map(|weight| weight.to_f64()).sum(),
            None => classes.len() as f64,
        };
        for (row, sums) in sums.iter_mut().enumerate() {
            let max = worker.max[row].to_f64();
            sums.add(max, worker.sum[row].to_f64());
            if self.smoothed {
                sums.weighted += worker.weighted[row].to_f64() + max * block_weight;
            }
            if worker.places[row] != NO_TARGET {
                sums.target_logit = worker.target_logits[row].to_f64();
            }
        }
        tile
    }

    /// Prepares the second sweep over a block: its tile, computed again where it was not kept, and
    /// in [`Worker::mass`] the factor of each row's exponentials.
    pub fn reload(
        &self,
        worker: &mut Worker<T>,
        job: &Job<'_, '_, T>,
        (index, block): (usize, usize),
        chunk: &Chunk<T>,
        rows: usize,
    ) -> (Shape, TileState) {
        let classes = self.classes(block);
        let shape = Shape { rows, classes: classes.len() };
        let Worker { tile, mass, .. } = worker;
        let from = if !self.keeps(job.number, index) {
            let tile = &mut tile.as_mut_slice()[..shape.len()];
            let hidden = &chunk.hidden[..rows * self.linear.hidden_size];
            self.logits(tile, shape, self.weight(&classes), hidden);
            TileState::Raw
        } else if self.keep() == Keep::Exponentials {
            TileState::Exponentials
        } else {
            TileState::Logits
        };
        mass[rows..].fill(T::default());
        for (row, mass) in mass[..rows].iter_mut().enumerate() {
            let mut factor = chunk.mass[row];
            if from == TileState::Exponentials {
                // These exponentials are relative to the maximum of their tile.
                let tile_max = job.span.block_max[index * stride(self.plan.chunk) + row].to_f64();
                factor *= (tile_max - chunk.max[row].to_f64()).exp();
            }
            *mass = T::from_f64(factor);
        }
        (shape, from)
    }

    /// Second sweep: gradients of the logits in place, and the two products with them. Blocks are
    /// walked backwards, since the last ones are still in the cache. `joint` is `Some` for a
    /// mixture with label smoothing.
    pub fn gradients(
        &self,
        worker: &mut Worker<T>,
        job: &mut Job<'_, '_, T>,
        chunk: &Chunk<T>,
        rows: usize,
        needs: WantedGradients,
        joint: Option<&ComponentFactors<T>>,
    ) {
        let size = self.linear.hidden_size;
        let hidden = &chunk.hidden[..rows * size];
        let blocks = self.plan.blocks_of(job.number);
        let first_class = blocks.start * self.plan.block;
        for (done, (index, block)) in blocks.enumerate().collect::<Vec<_>>().into_iter().rev().enumerate() {
            let classes = self.classes(block);
            let weight = self.weight(&classes);
            let local = classes.start - first_class..classes.end - first_class;
            let (shape, from) = self.reload(worker, job, (index, block), chunk, rows);
            let Worker { tile, mass, places, smoothing, .. } = &mut *worker;
            let Span { tiles, d_hidden, d_bias, .. } = &mut *job.span;
            let tile = self.tile(job.number, index, shape, tiles, tile);
            let bias = needs.bias.then_some(&mut d_bias[local.clone()]);
            if let Some(joint) = joint {
                self.smoothed_gradient(block, (&mut *tile, shape, from), chunk, joint, smoothing, mass, bias);
            } else {
                let weights = self.class_weights.map(|weights| &weights[classes.clone()]);
                dispatch(
                    self.level,
                    Gradient {
                        tile: &mut *tile,
                        shape,
                        transform: self.transform.of_block(classes.clone()),
                        from,
                        max: &chunk.max,
                        mass,
                        spread: self.smoothed.then_some((&chunk.spread[..], weights)),
                        bias,
                    },
                );
            }
            place_targets(&mut places[..rows], &chunk.targets, &classes);
            for (row, class) in targets(&places[..rows]) {
                self.subtract_in_tile(tile, shape, class, row, chunk);
                if needs.bias {
                    d_bias[local.start + class] -= chunk.target[row];
                }
            }
            if needs.hidden {
                product::hidden_gradient(&self.products, d_hidden, (tile, shape), weight, size, done > 0);
            }
            let mut out =
                job.d_weight.as_deref_mut().map(|all| &mut all[local.start * size..local.end * size]);
            if let Some(out) = &mut out {
                product::weight_gradient(&self.products, out, (tile, shape), hidden, size, needs.add_weight);
            }
            let d_hidden = needs.hidden.then_some(&mut d_hidden[..]);
            self.subtract_from_gradients(&places[..rows], chunk, &classes, d_hidden, out);
        }
    }
}

/// Gradients that a second sweep computes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedGradients {
    pub hidden: bool,
    pub bias: bool,
    /// Whether the weight's gradient is added to the buffer's content.
    pub add_weight: bool,
}

/// Place of each row's target in the block, or [`NO_TARGET`].
pub(crate) fn place_targets(places: &mut [u32], targets: &[usize], classes: &std::ops::Range<usize>) {
    for (place, target) in places.iter_mut().zip(targets) {
        *place = if classes.contains(target) { (target - classes.start) as u32 } else { NO_TARGET };
    }
}
