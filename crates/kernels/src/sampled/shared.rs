//! Negatives that all rows share: their rows of the weight are gathered once, and three products do
//! the rest.

use super::candidates::{Candidates, Sets};
use super::jobs::{ClassesJob, RowsJob, classes_jobs, rows_jobs};
use super::logistic::Weights;
use super::objective::{self, Rows, Tile, left_out};
use super::rows::Combine;
use super::workspace::{Worker, Workspace, tile_rows};
use super::{Call, Gradients};
use crate::element::Element;
use crate::pool;
use crate::product::ProductLibrary;
use crate::tile::{Shape, product};

/// A row without a negative to leave out.
const NO_PLACE: u32 = u32::MAX;

/// Rows of the gathered weight. A class that was drawn several times is gathered once and counted
/// by its copies, unless rows leave out only one of them.
struct Slots {
    classes: Vec<u32>,
    /// Position of the first copy among the negatives.
    first: Vec<u32>,
    copies: Vec<f64>,
    /// Slots of the touched class `u` are `starts[u]..starts[u + 1]`.
    starts: Vec<usize>,
    /// The slot that a row leaves out.
    place: Vec<u32>,
}

impl Slots {
    fn new(candidates: &Candidates) -> Self {
        let negatives = &candidates.negatives;
        let own_only = negatives.sets == Sets::InBatch && !negatives.leave_hits_out;
        let mut slots = Self {
            classes: Vec::with_capacity(candidates.samples()),
            first: Vec::new(),
            copies: Vec::new(),
            starts: vec![0],
            place: vec![NO_PLACE; candidates.rows()],
        };
        for (touched, class) in candidates.classes().iter().enumerate() {
            let copies = candidates.negatives_of(touched);
            let together = if own_only { 1 } else { copies.len().max(1) };
            for copies in copies.chunks(together) {
                let slot = slots.classes.len() as u32;
                slots.classes.push(*class as u32);
                slots.first.push(copies[0]);
                slots.copies.push(copies.len() as f64);
                let leaving = match (own_only, negatives.leave_hits_out) {
                    (true, _) => copies,
                    (false, true) => candidates.targets_of(touched),
                    (false, false) => &[],
                };
                leaving.iter().for_each(|row| slots.place[*row as usize] = slot);
            }
            slots.starts.push(slots.classes.len());
        }
        slots
    }
}

pub(super) fn run<T: Element>(
    call: &Call<'_, T>,
    gradients: &mut Gradients<'_, T>,
    loss: &mut [f64],
    workspace: &mut Workspace<T>,
) {
    let size = call.linear.hidden_size;
    let needs_classes = gradients.weight.is_some() || gradients.bias.is_some();
    let threads = workspace.fit(call.candidates, size, needs_classes);
    let Workspace { workers, gathered, shift, weights, target_gradient, level, products, .. } = workspace;
    let slots = Slots::new(call.candidates);
    let count = slots.classes.len();

    shift.clear();
    weights.clear();
    for slot in 0..count {
        let expected = call.candidates.negatives.log_expected[slots.first[slot] as usize];
        let bias = call.bias_of(slots.classes[slot]);
        shift.push(T::from_f64(bias + call.objective.shift(expected, slots.copies[slot])));
        weights.push(T::from_f64(call.objective.weight(expected, slots.copies[slot])));
    }
    let gathered = &mut gathered.as_mut_slice()[..count * size];
    gather(call, &slots.classes, gathered, threads);

    let (level, products) = (*level, *products);
    let shared = Shared { call, slots: &slots, gathered, shift, weights, level, products, needs_classes };
    let mut jobs = rows_jobs(workers, loss, target_gradient, gradients.hidden.as_deref_mut(), size);
    pool::on_each(&mut jobs, |job| shared.rows(job));
    drop(jobs);
    if !needs_classes {
        return;
    }

    let mut jobs = classes_jobs(call.candidates, threads, gradients, size);
    pool::on_each(&mut jobs, |job| shared.classes(job, workers, target_gradient));
}

/// Copies the slots' rows of the weight, each thread its share.
fn gather<T: Element>(call: &Call<'_, T>, classes: &[u32], gathered: &mut [T], threads: usize) {
    let size = call.linear.hidden_size;
    let share = classes.len().div_ceil(threads).max(1);
    let mut jobs: Vec<_> = classes.chunks(share).zip(gathered.chunks_mut(share * size)).collect();
    pool::on_each(&mut jobs, |(classes, out)| {
        for (class, out) in classes.iter().zip(out.chunks_exact_mut(size)) {
            let from = *class as usize * size;
            out.copy_from_slice(&call.linear.weight[from..from + size]);
        }
    });
}

/// Arguments and shared buffers of one call, read by all threads.
struct Shared<'a, T> {
    call: &'a Call<'a, T>,
    slots: &'a Slots,
    gathered: &'a [T],
    shift: &'a [T],
    weights: &'a [T],
    level: crate::simd::Level,
    products: ProductLibrary,
    needs_classes: bool,
}

impl<T: Element> Shared<'_, T> {
    /// Losses, the gradient of the hidden states, and this thread's part of the gradient of the
    /// gathered rows.
    fn rows(&self, job: &mut RowsJob<'_, T>) {
        let Self { call, level, .. } = *self;
        let size = call.linear.hidden_size;
        let count = self.slots.classes.len();
        let Worker { tile: buffer, d_gathered, d_bias, rows: scratch, target, .. } = &mut *job.worker;
        d_bias.clear();
        d_bias.resize(count, 0.0);
        let chunk = tile_rows::<T>(call.candidates.samples(), call.candidates.sets());
        for start in (0..job.loss.len()).step_by(chunk) {
            let rows = start..(start + chunk).min(job.loss.len());
            let first = job.first + start;
            let shape = Shape { rows: rows.len(), classes: count };
            let hidden = &call.linear.hidden[first * size..(first + rows.len()) * size];
            let cells = &mut buffer.as_mut_slice()[..shape.len()];
            product::logits(&self.products, cells, shape, self.gathered, hidden, size);
            if shape.rows < shape.padded() {
                for class in cells.chunks_exact_mut(shape.stride()) {
                    class[shape.rows..shape.padded()].fill(T::default());
                }
            }
            target.clear();
            for row in 0..rows.len() {
                target.push(call.target_logit(first + row, level));
                let place = self.slots.place[first + row];
                if place != NO_PLACE {
                    cells[place as usize * shape.stride() + row] = left_out();
                }
            }
            let tile = Tile {
                cells,
                shape,
                shift: Some(self.shift),
                weights: Weights::OfClass(self.weights),
                bias: self.needs_classes.then_some(&mut d_bias[..]),
            };
            let of_rows = Rows {
                target,
                upstream: call.upstream.map(|upstream| &upstream[first..first + rows.len()]),
                loss: &mut job.loss[rows.clone()],
                target_gradient: &mut job.target_gradient[rows.clone()],
            };
            objective::sweep(call.objective, level, tile, of_rows, scratch);
            let cells = &buffer.as_slice()[..shape.len()];
            if let Some(d_hidden) = &mut job.d_hidden {
                let out = &mut d_hidden[rows.start * size..rows.end * size];
                product::hidden_gradient(&self.products, out, (cells, shape), self.gathered, size, false);
                for (row, out) in out.chunks_exact_mut(size).enumerate() {
                    call.add_target(first + row, job.target_gradient[start + row], out, level);
                }
            }
            if self.needs_classes {
                let out = &mut d_gathered.as_mut_slice()[..count * size];
                product::weight_gradient(&self.products, out, (cells, shape), hidden, size, start > 0);
            }
        }
    }

    /// Gradients of touched rows: the threads' parts of their slots, in order, then the targets.
    fn classes(&self, job: &mut ClassesJob<'_, T>, workers: &[Worker<T>], target_gradient: &[f64]) {
        let size = self.call.linear.hidden_size;
        let mut factors = Vec::new();
        for (at, touched) in job.touched.clone().enumerate() {
            let slots = self.slots.starts[touched]..self.slots.starts[touched + 1];
            let targets = self.call.candidates.targets_of(touched);
            if let Some(d_weight) = &mut job.d_weight {
                let out = &mut d_weight[at * size..(at + 1) * size];
                out.fill(T::default());
                for slot in slots.clone() {
                    for worker in workers {
                        let part = &worker.d_gathered.as_slice()[slot * size..(slot + 1) * size];
                        out.iter_mut().zip(part).for_each(|(out, part)| *out = *out + *part);
                    }
                }
                factors.clear();
                factors.extend(targets.iter().map(|row| T::from_f64(target_gradient[*row as usize])));
                Combine { table: self.call.linear.hidden, rows: targets, factors: &factors, out }
                    .add(self.level);
            }
            if let Some(d_bias) = &mut job.d_bias {
                let of_slots = slots.flat_map(|slot| workers.iter().map(move |worker| worker.d_bias[slot]));
                let of_targets = targets.iter().map(|row| target_gradient[*row as usize]);
                d_bias[at] = T::from_f64(of_slots.chain(of_targets).sum());
            }
        }
    }
}
