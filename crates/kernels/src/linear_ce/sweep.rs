//! The two sweeps of one thread over its blocks of classes.

use super::buffers::{Chunk, ComponentFactors, Worker};
use super::input::Linear;
use super::options::Options;
use super::plan::Plan;
use super::rows::RowSums;
use crate::element::Element;
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
}

/// One thread: its buffers, and the rows of the gradients that belong to its classes.
#[derive(Debug)]
pub(crate) struct Job<'a, 'g, T> {
    pub thread: usize,
    pub worker: &'a mut Worker<T>,
    pub d_weight: Option<&'g mut [T]>,
}

impl<'a, T: Element> Call<'a, T> {
    pub fn new(linear: Linear<'a, T>, options: &Options<'a, T>, plan: Plan, level: Level) -> Self {
        Self {
            linear,
            transform: options.transform(&linear),
            class_weights: options.class_weights,
            smoothed: options.label_smoothing > 0.0,
            keeps_logits: false,
            filtered: plan.filtered,
            plan,
            level,
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

    /// Thread that owns a class.
    pub fn classes_owner(&self, class: usize) -> usize {
        let block = class / self.plan.block;
        (0..self.plan.threads).position(|thread| self.plan.blocks_of(thread).contains(&block)).unwrap_or(0)
    }

    pub fn weight(&self, classes: &std::ops::Range<usize>) -> &'a [T] {
        &self.linear.weight[classes.start * self.linear.hidden_size..classes.end * self.linear.hidden_size]
    }

    /// Range of a thread's tiles that holds the tile of its `index`th block.
    pub fn tile_range(&self, index: usize, shape: Shape) -> std::ops::Range<usize> {
        let start = index.min(self.plan.tiles() - 1) * self.plan.block * stride(self.plan.chunk);
        start..start + shape.len()
    }

    /// Raw logits of a block; padding is zero, so that no sweep meets what an earlier call left
    /// there.
    pub fn logits(&self, tile: &mut [T], shape: Shape, weight: &[T], hidden: &[T]) {
        product::logits(tile, shape, weight, hidden, self.linear.hidden_size);
        if shape.rows < shape.padded() {
            for class in tile.chunks_exact_mut(shape.stride()) {
                class[shape.rows..shape.padded()].fill(T::default());
            }
        }
    }

    /// Forgets the sums of the chunk before.
    pub fn start_sums(&self, worker: &mut Worker<T>, rows: usize) {
        worker.sums.clear();
        worker.sums.resize(rows, RowSums::NONE);
    }

    /// First sweep: sums of this thread's blocks for every row of the chunk.
    pub fn sums(&self, worker: &mut Worker<T>, thread: usize, chunk: &Chunk<T>, rows: usize) {
        self.start_sums(worker, rows);
        for (index, block) in self.plan.blocks_of(thread).enumerate() {
            let keep = if index < self.plan.kept { self.keep() } else { Keep::Logits };
            self.sums_of_block(worker, index, block, keep, chunk, rows);
            let start = index * stride(self.plan.chunk);
            if index < self.plan.kept || self.filtered {
                worker.block_max[start..start + rows].copy_from_slice(&worker.max[..rows]);
            }
            if self.filtered {
                worker.filter.block_sum[start..start + rows].copy_from_slice(&worker.sum[..rows]);
            }
        }
    }

    /// The first sweep over one block. Afterwards the tile holds what `keep` says.
    pub fn sums_of_block(
        &self,
        worker: &mut Worker<T>,
        index: usize,
        block: usize,
        keep: Keep,
        chunk: &Chunk<T>,
        rows: usize,
    ) {
        let classes = self.classes(block);
        let shape = Shape { rows, classes: classes.len() };
        let tile = &mut worker.tiles.as_mut_slice()[self.tile_range(index, shape)];
        let hidden = &chunk.hidden[..rows * self.linear.hidden_size];
        self.logits(tile, shape, self.weight(&classes), hidden);
        place_targets(&mut worker.places[..rows], &chunk.targets, &classes);
        let weights = self.class_weights.map(|weights| &weights[classes.clone()]);
        dispatch(
            self.level,
            Normalise {
                tile,
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
        for (row, sums) in worker.sums.iter_mut().enumerate() {
            let max = worker.max[row].to_f64();
            sums.add(max, worker.sum[row].to_f64());
            if self.smoothed {
                sums.weighted += worker.weighted[row].to_f64() + max * block_weight;
            }
            if worker.places[row] != NO_TARGET {
                sums.target_logit = worker.target_logits[row].to_f64();
            }
        }
    }

    /// Prepares the second sweep over a block: its tile, computed again where it was not kept, and
    /// in [`Worker::mass`] the factor of each row's exponentials.
    pub fn reload(
        &self,
        worker: &mut Worker<T>,
        index: usize,
        block: usize,
        chunk: &Chunk<T>,
        rows: usize,
    ) -> (Shape, TileState) {
        let classes = self.classes(block);
        let shape = Shape { rows, classes: classes.len() };
        let Worker { tiles, block_max, mass, .. } = worker;
        let from = if index >= self.plan.kept {
            let tile = &mut tiles.as_mut_slice()[self.tile_range(index, shape)];
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
                let tile_max = block_max[index * stride(self.plan.chunk) + row].to_f64();
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
        job: &mut Job<'_, '_, T>,
        chunk: &Chunk<T>,
        rows: usize,
        needs: WantedGradients,
        joint: Option<&ComponentFactors<T>>,
    ) {
        let size = self.linear.hidden_size;
        let hidden = &chunk.hidden[..rows * size];
        let blocks = self.plan.blocks_of(job.thread);
        let first_class = blocks.start * self.plan.block;
        for (done, (index, block)) in blocks.enumerate().collect::<Vec<_>>().into_iter().rev().enumerate() {
            let classes = self.classes(block);
            let weight = self.weight(&classes);
            let local = classes.start - first_class..classes.end - first_class;
            let (shape, from) = self.reload(job.worker, index, block, chunk, rows);
            let Worker { tiles, mass, places, d_hidden, d_bias, smoothing, .. } = &mut *job.worker;
            let tile = &mut tiles.as_mut_slice()[self.tile_range(index, shape)];
            let bias = needs.bias.then_some(&mut d_bias[local.clone()]);
            if let Some(joint) = joint {
                self.smoothed_gradient(block, (tile, shape, from), chunk, joint, smoothing, mass, bias);
            } else {
                let weights = self.class_weights.map(|weights| &weights[classes.clone()]);
                dispatch(
                    self.level,
                    Gradient {
                        tile,
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
            for (row, class) in places[..rows].iter().enumerate().filter(|(_, class)| **class != NO_TARGET) {
                let at = *class as usize * shape.stride() + row;
                tile[at] = tile[at] - T::from_f64(chunk.target[row]);
                if needs.bias {
                    d_bias[local.start + *class as usize] -= chunk.target[row];
                }
            }
            if needs.hidden {
                product::hidden_gradient(d_hidden, tile, shape, weight, size, done > 0);
            }
            if let Some(d_weight) = &mut job.d_weight {
                let out = &mut d_weight[local.start * size..local.end * size];
                product::weight_gradient(out, tile, shape, hidden, size, needs.add_weight);
            }
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
