//! Negatives that each row has of its own: rows of the weight are read where they lie, and never
//! gathered into `[N, S, D]`.

use super::candidates::Candidates;
use super::jobs::{ClassesJob, RowsJob, classes_jobs, rows_jobs};
use super::logistic::Weights;
use super::objective::{self, Objective, Rows, Tile, left_out};
use super::rows::{Combine, Dots};
use super::workspace::{Worker, Workspace};
use super::{Call, Gradients};
use crate::element::Element;
use crate::pool;
use crate::simd::{Level, dispatch};
use crate::tile::{ROW_MULTIPLE, Shape};

/// One thread's rows and their tiles.
struct TilesJob<'a, T> {
    rows: RowsJob<'a, T>,
    cells: &'a mut [T],
}

pub(super) fn run<T: Element>(
    call: &Call<'_, T>,
    gradients: &mut Gradients<'_, T>,
    loss: &mut [f64],
    workspace: &mut Workspace<T>,
) {
    let size = call.linear.hidden_size;
    let samples = call.candidates.samples();
    let threads = workspace.fit(call.candidates, size, true);
    let Workspace { workers, cells, weights, target_gradient, level, .. } = workspace;
    let level = *level;
    // Every negative of the logistic objectives counts once; the pairwise ones have weights of
    // their own.
    weights.clear();
    weights.resize(samples, T::from_f64(1.0));

    let d_hidden = gradients.hidden.as_deref_mut();
    let mut rest = cells.as_mut_slice();
    let mut jobs = Vec::with_capacity(threads);
    for rows in rows_jobs(workers, loss, target_gradient, d_hidden, size) {
        let (mine, left) = rest.split_at_mut(rows.loss.len().next_multiple_of(ROW_MULTIPLE) * samples);
        rest = left;
        jobs.push(TilesJob { rows, cells: mine });
    }
    pool::on_each(&mut jobs, |job| rows(call, job, weights, level));
    drop(jobs);
    if gradients.weight.is_some() || gradients.bias.is_some() {
        let cells = cells.as_slice();
        let mut jobs = classes_jobs(call.candidates, threads, gradients, size);
        pool::on_each(&mut jobs, |job| classes(call, job, cells, target_gradient, level));
    }
}

/// Losses, gradients of the logits, and the gradient of the hidden states.
fn rows<T: Element>(call: &Call<'_, T>, job: &mut TilesJob<'_, T>, ones: &[T], level: Level) {
    let size = call.linear.hidden_size;
    let samples = call.candidates.samples();
    let TilesJob { rows: RowsJob { worker, first, loss, target_gradient, d_hidden }, cells } = job;
    for (index, cells) in cells.chunks_exact_mut(samples * ROW_MULTIPLE).enumerate() {
        let start = index * ROW_MULTIPLE;
        let range = start..(start + ROW_MULTIPLE).min(loss.len());
        let shape = Shape { rows: range.len(), classes: samples };
        let Worker { tile: cell_weights, rows: scratch, target, places, numbers, .. } = &mut **worker;
        let cell_weights = &mut cell_weights.as_mut_slice()[..shape.len()];
        if shape.rows < ROW_MULTIPLE {
            cells.fill(T::default());
            cell_weights.fill(T::default());
        }
        target.clear();
        for at in 0..shape.rows {
            let row = *first + start + at;
            target.push(call.target_logit(row, level));
            logits(call, row, (&mut *places, &mut *numbers), &mut cells[at..], level);
            if call.objective == Objective::Pairwise {
                let expected = &call.candidates.negatives.log_expected[row * samples..(row + 1) * samples];
                for (cell, expected) in cell_weights[at..].iter_mut().step_by(ROW_MULTIPLE).zip(expected) {
                    *cell = T::from_f64(call.objective.weight(*expected, 1.0));
                }
            }
        }
        let weights = match call.objective {
            Objective::Pairwise => Weights::OfCell(cell_weights),
            _ => Weights::OfClass(ones),
        };
        let of_rows = Rows {
            target,
            upstream: call.upstream.map(|upstream| &upstream[*first + range.start..*first + range.end]),
            loss: &mut loss[range.clone()],
            target_gradient: &mut target_gradient[range.clone()],
        };
        let tile = Tile { cells: &mut *cells, shape, shift: None, weights, bias: None };
        objective::sweep(call.objective, level, tile, of_rows, scratch);
        let Some(d_hidden) = d_hidden else { continue };
        for at in 0..shape.rows {
            let row = *first + start + at;
            let out = &mut d_hidden[(start + at) * size..(start + at + 1) * size];
            out.fill(T::default());
            ids(call.candidates, row, places);
            numbers.clear();
            numbers.extend(cells[at..].iter().step_by(ROW_MULTIPLE));
            Combine { table: call.linear.weight, rows: places, factors: numbers, out: &mut *out }.add(level);
            call.add_target(row, target_gradient[start + at], out, level);
        }
    }
}

/// Logits of a row's negatives, every 16th cell from the first one on: corrected, and those it
/// leaves out very low.
fn logits<T: Element>(
    call: &Call<'_, T>,
    row: usize,
    (places, numbers): (&mut Vec<u32>, &mut Vec<T>),
    cells: &mut [T],
    level: Level,
) {
    let (size, samples) = (call.linear.hidden_size, call.candidates.samples());
    let negatives = &call.candidates.negatives;
    ids(call.candidates, row, places);
    numbers.clear();
    numbers.resize(samples, T::default());
    let with = &call.linear.hidden[row * size..(row + 1) * size];
    dispatch(level, Dots { table: call.linear.weight, rows: places, with, out: numbers });
    let expected = &negatives.log_expected[row * samples..(row + 1) * samples];
    let hit = negatives.leave_hits_out.then_some(call.candidates.targets[row]);
    let negatives = places.iter().zip(expected).zip(numbers.iter());
    for (cell, ((class, expected), dot)) in cells.iter_mut().step_by(ROW_MULTIPLE).zip(negatives) {
        let shift = call.bias_of(*class) + call.objective.shift(*expected, 1.0);
        *cell = if hit == Some(*class) { left_out() } else { *dot + T::from_f64(shift) };
    }
}

/// The row's negatives as rows of the weight.
fn ids(candidates: &Candidates, row: usize, places: &mut Vec<u32>) {
    let samples = candidates.samples();
    places.clear();
    // Checked when the candidates were made: classes of a vocabulary of less than 2^32.
    places.extend(candidates.negatives.ids[row * samples..(row + 1) * samples].iter().map(|id| *id as u32));
}

/// Gradients of touched rows: each is a sum of hidden states, those of its targets first, then of
/// its negatives by position.
fn classes<T: Element>(
    call: &Call<'_, T>,
    job: &mut ClassesJob<'_, T>,
    cells: &[T],
    target_gradient: &[f64],
    level: Level,
) {
    let (size, samples) = (call.linear.hidden_size, call.candidates.samples());
    let (mut rows, mut factors) = (Vec::new(), Vec::new());
    for (at, touched) in job.touched.clone().enumerate() {
        rows.clear();
        factors.clear();
        for row in call.candidates.targets_of(touched) {
            rows.push(*row);
            factors.push(T::from_f64(target_gradient[*row as usize]));
        }
        for position in call.candidates.negatives_of(touched) {
            let (row, sample) = (*position as usize / samples, *position as usize % samples);
            rows.push(row as u32);
            let cell = (row / ROW_MULTIPLE * samples + sample) * ROW_MULTIPLE + row % ROW_MULTIPLE;
            factors.push(cells[cell]);
        }
        if let Some(d_weight) = &mut job.d_weight {
            let out = &mut d_weight[at * size..(at + 1) * size];
            out.fill(T::default());
            Combine { table: call.linear.hidden, rows: &rows, factors: &factors, out }.add(level);
        }
        if let Some(d_bias) = &mut job.d_bias {
            d_bias[at] = T::from_f64(factors.iter().map(|factor| factor.to_f64()).sum());
        }
    }
}
