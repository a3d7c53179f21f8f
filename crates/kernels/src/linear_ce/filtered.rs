//! The second sweep over one span where gradients are filtered.
//!
//! A block whose largest probabilities, known from the first sweep, are all too small is passed
//! over: its logits are neither read nor made again. In the others the classes to keep are moved to
//! the front of the tile, their rows of the weight are gathered, and the gradient sweep and the two
//! products run over these alone.

use super::buffers::{Chunk, FilterBuffers, Worker};
use super::compact::gather_transform;
use super::filter::Filter;
use super::span::Span;
use super::sweep::{Call, Job, WantedGradients, place_targets};
use super::targets::targets;
use crate::element::Element;
use crate::simd::dispatch;
use crate::tile::gradient::{Gradient, TileState};
use crate::tile::normalise::NO_TARGET;
use crate::tile::threshold::Threshold;
use crate::tile::{Shape, product, stride};

/// Rule of a filtered second sweep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filtering {
    pub filter: Filter,
    /// Whether the first sweep of this chunk left maxima and sums of all blocks.
    pub summed: bool,
}

impl<T: Element> Call<'_, T> {
    /// Second sweep over the classes that the filter keeps, otherwise like [`Call::gradients`].
    pub fn filtered_gradients(
        &self,
        worker: &mut Worker<T>,
        job: &mut Job<'_, '_, T>,
        chunk: &Chunk<T>,
        rows: usize,
        needs: WantedGradients,
        Filtering { filter, summed }: Filtering,
    ) {
        let (size, by) = (self.linear.hidden_size, &self.products);
        let hidden = &chunk.hidden[..rows * size];
        let blocks = self.plan.blocks_of(job.number);
        let first_class = blocks.start * self.plan.block;
        let exact_weight = filter.exact_weight && (needs.bias || job.d_weight.is_some());
        let mut started = false;
        for (index, block) in blocks.enumerate().collect::<Vec<_>>().into_iter().rev() {
            let classes = self.classes(block);
            let local = classes.start - first_class..classes.end - first_class;
            place_targets(&mut worker.places[..rows], &chunk.targets, &classes);
            job.span.filtered.entries += (rows * classes.len()) as u64;
            if summed
                && !exact_weight
                && self.drop_block(&worker.places, job.span, index, chunk, rows, filter.eps)
            {
                if let Some(all) = job.d_weight.as_deref_mut().filter(|_| !needs.add_weight) {
                    all[local.start * size..local.end * size].fill(T::default());
                }
                continue;
            }
            let (mut shape, from) = self.reload(worker, job, (index, block), chunk, rows);
            self.choose(worker, job, (index, block), (shape, from), chunk, filter.eps);
            let mut out =
                job.d_weight.as_deref_mut().map(|all| &mut all[local.start * size..local.end * size]);
            let Worker { tile, mass, places, filter: buffers, .. } = &mut *worker;
            let Span { tiles, d_hidden, d_bias, .. } = &mut *job.span;
            let tile = self.tile(job.number, index, shape, tiles, tile);
            let all = buffers.kept.len() == classes.len();
            let weight = self.weight(&classes);
            let transform = self.transform.of_block(classes.clone());
            let (max, mass) = (&chunk.max[..], &mass[..]);
            if all || exact_weight {
                let bias = needs.bias.then_some(&mut d_bias[local.clone()]);
                let tile = &mut *tile;
                let sweep = Gradient { tile, shape, transform, from, max, mass, spread: None, bias };
                dispatch(self.level, sweep);
                for (row, class) in targets(&places[..rows]) {
                    self.subtract_in_tile(tile, shape, class, row, chunk);
                    if needs.bias {
                        d_bias[local.start + class] -= chunk.target[row];
                    }
                }
                if let Some(out) = out.take() {
                    product::weight_gradient(by, out, (tile, shape), hidden, size, needs.add_weight);
                }
                shape = buffers.compact(tile, shape);
            } else {
                shape = buffers.compact(tile, shape);
                let kept = shape.classes;
                let FilterBuffers { class_bias, offset, d_bias: sums, kept: list, .. } = &mut *buffers;
                let transform = gather_transform(list, transform, class_bias, offset);
                sums[..kept].fill(0.0);
                let bias = needs.bias.then_some(&mut sums[..kept]);
                let tile = &mut *tile;
                let sweep = Gradient { tile, shape, transform, from, max, mass, spread: None, bias };
                dispatch(self.level, sweep);
                for (row, class) in targets(&places[..rows]) {
                    // Targets are always kept.
                    let Ok(at) = buffers.kept.binary_search(&(class as u32)) else { continue };
                    self.subtract_in_tile(tile, shape, at, row, chunk);
                    buffers.d_bias[at] -= chunk.target[row];
                }
                if needs.bias {
                    for (class, sum) in buffers.kept.iter().zip(&buffers.d_bias) {
                        d_bias[local.start + *class as usize] += sum;
                    }
                }
            }
            if needs.hidden && shape.classes > 0 {
                let weight = if all { weight } else { buffers.rows_of(weight, size) };
                product::hidden_gradient(by, d_hidden, (tile, shape), weight, size, started);
                started = true;
            }
            if let Some(out) = out {
                buffers.spread_weight_gradient(by, out, (tile, shape), hidden, size, needs.add_weight);
            }
            let out = job.d_weight.as_deref_mut().map(|all| &mut all[local.start * size..local.end * size]);
            let d_hidden = needs.hidden.then_some(&mut d_hidden[..]);
            self.subtract_from_gradients(&places[..rows], chunk, &classes, d_hidden, out);
        }
        if needs.hidden && !started {
            job.span.d_hidden.fill(T::default());
        }
    }

    /// Whether a block can be passed over: it holds no target, and no probability above `eps`. Its
    /// mass is counted then.
    fn drop_block(
        &self,
        places: &[u32],
        span: &mut Span<T>,
        index: usize,
        chunk: &Chunk<T>,
        rows: usize,
        eps: f64,
    ) -> bool {
        if places[..rows].iter().any(|place| *place != NO_TARGET) {
            return false;
        }
        let start = index * stride(self.plan.chunk);
        let mut mass = 0.0;
        for row in 0..rows {
            let share =
                (span.block_max[start + row].to_f64() - chunk.max[row].to_f64()).exp() * chunk.share[row];
            // What is not a number is not dropped.
            if share > eps || share.is_nan() {
                return false;
            }
            mass += share * span.block_sum[start + row].to_f64();
        }
        span.filtered.dropped_mass += mass;
        true
    }

    /// Lists the classes of a block to keep, and counts what the others amount to.
    fn choose(
        &self,
        worker: &mut Worker<T>,
        job: &mut Job<'_, '_, T>,
        (index, block): (usize, usize),
        (shape, from): (Shape, TileState),
        chunk: &Chunk<T>,
        eps: f64,
    ) {
        let Worker { tile, places, filter: buffers, .. } = worker;
        let FilterBuffers { share, above, total, kept, .. } = buffers;
        let Span { tiles, block_max, filtered, .. } = &mut *job.span;
        share[shape.rows..].fill(T::default());
        for (row, share) in share[..shape.rows].iter_mut().enumerate() {
            let mut factor = chunk.share[row];
            if from == TileState::Exponentials {
                let tile_max = block_max[index * stride(self.plan.chunk) + row].to_f64();
                factor *= (tile_max - chunk.max[row].to_f64()).exp();
            }
            *share = T::from_f64(factor);
        }
        let (above, total) = (&mut above[..shape.classes], &mut total[..shape.classes]);
        dispatch(
            self.level,
            Threshold {
                tile: self.tile(job.number, index, shape, tiles, tile),
                shape,
                transform: self.transform.of_block(self.classes(block)),
                from,
                max: &chunk.max,
                share,
                eps: T::from_f64(eps),
                above,
                total,
            },
        );
        for (_, class) in targets(&places[..shape.rows]) {
            above[class] = true;
        }
        kept.clear();
        for (class, (above, total)) in above.iter().zip(total.iter()).enumerate() {
            if *above {
                kept.push(class as u32);
            } else {
                filtered.dropped_mass += total;
            }
        }
        filtered.kept += (kept.len() * shape.rows) as u64;
    }
}
