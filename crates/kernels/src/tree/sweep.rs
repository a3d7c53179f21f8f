//! One thread's sweep over its rows: log-probabilities, gradients of the rows, gradients of the
//! nodes.
//!
//! A few rows at a time ([`ROWS`]): first each row along its path, while its nodes are in the
//! first-level cache, then each node over the rows of the block that visit it, while these are.
//! Neighbouring rows share most of their path, so both stay.

use std::ops::Range;

use super::batch::Batch;
use super::vector::{PADDING, combine, dots, exp_of_minus_abs, fetch};
use super::workspace::{ROWS, Worker};
use crate::element::Element;
use crate::linear_ce::{Linear, Upstream};
use crate::simd::{Kernel, Vector};

/// Largest product of `1 + e` that is carried on before its logarithm is added to the
/// log-probability: each undecided step of a long path doubles the product.
const LARGE: f64 = 1e200;

/// Work of one thread: its rows, and the outputs that belong to them.
#[derive(Debug)]
pub struct Job<'a, 'g, T> {
    pub(super) linear: Linear<'a, T>,
    pub(super) batch: &'a Batch,
    pub(super) positions: Range<usize>,
    /// Factors of the gradients; none where only log-probabilities are wanted.
    pub(super) upstream: Option<Upstream<'a, T>>,
    /// Log-probability of each of the thread's targets, by position.
    pub(super) log_probs: &'g mut [f64],
    /// Gradient of the hidden states, by position.
    pub(super) d_hidden: Option<Vec<&'g mut [T]>>,
    /// Gradients of the nodes that this thread visits first, by visit.
    pub(super) d_weight: Option<Vec<&'g mut [T]>>,
    pub(super) d_bias: Option<&'g mut [f64]>,
    pub(super) worker: &'g mut Worker<T>,
}

impl<T: Element> Kernel<T> for &mut Job<'_, '_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        let mut start = self.positions.start;
        while start < self.positions.end {
            let block = start..(start + ROWS).min(self.positions.end);
            self.worker.hidden_offsets.clear();
            for position in block.clone() {
                let row = self.batch.order[position] as usize;
                self.worker.hidden_offsets.push(row * self.linear.hidden_size);
                if position + 1 < self.positions.end {
                    fetch_first_visits(self, position + 1);
                }
                // SAFETY: as the caller.
                unsafe { along_path::<T, V>(self, position, position - block.start) };
            }
            if self.d_weight.is_some() || self.d_bias.is_some() {
                // SAFETY: as the caller.
                unsafe { of_nodes::<T, V>(self, block.clone()) };
            }
            start = block.end;
        }
    }
}

/// Asks for the nodes that a row is the first to visit: rare ones, which no cache holds in a large
/// vocabulary.
#[inline(always)]
fn fetch_first_visits<T: Element>(job: &Job<'_, '_, T>, position: usize) {
    let size = job.linear.hidden_size;
    for visit in &job.batch.visits[job.batch.firsts[position]..job.batch.firsts[position + 1]] {
        let start = visit.node as usize * size;
        fetch(&job.linear.weight[start..start + size]);
    }
}

/// One row along its path: `log p = sum_t log sigmoid(x_t)` with `x_t = s_t (v_t . h + b_t)`, its
/// slopes, and from these the gradient of the row.
///
/// With `e_t = exp(-|x_t|)` that is `sum_t min(x_t, 0) - log prod_t (1 + e_t)`: one logarithm a
/// row. The product less one is what is kept, which keeps the digits of probabilities next to one.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn along_path<T: Element, V: Vector<Scalar = T>>(
    job: &mut Job<'_, '_, T>,
    position: usize,
    place: usize,
) {
    let Worker { logits, exps, slopes, node_offsets, by_node, .. } = &mut *job.worker;
    let (size, steps) = (job.linear.hidden_size, job.batch.steps_at(position));
    let row = job.batch.order[position] as usize;
    node_offsets.clear();
    let node = |step: u32| job.batch.visits[(step >> 1) as usize].node as usize;
    node_offsets.extend(steps.iter().map(|&step| node(step) * size));
    let hidden = &job.linear.hidden[row * size..(row + 1) * size];
    // SAFETY: as the caller.
    unsafe { dots::<T, V>(logits, job.linear.weight, node_offsets, hidden) };
    let padded = steps.len().next_multiple_of(PADDING);
    if let Some(bias) = job.linear.bias {
        for (logit, &step) in logits.iter_mut().zip(steps) {
            *logit = *logit + bias[node(step)];
        }
    }
    exps[..steps.len()].copy_from_slice(&logits[..steps.len()]);
    exps[steps.len()..padded].fill(T::default());
    // SAFETY: as the caller.
    unsafe { exp_of_minus_abs::<T, V>(&mut exps[..padded]) };

    let (mut log_prob, mut product_less_one) = (0.0, 0.0);
    let upstream = match job.upstream {
        None => 0.0,
        Some(Upstream::Same(factor)) => factor,
        Some(Upstream::Rows(factors)) => factors[row].to_f64(),
    };
    for (depth, ((&step, logit), exp)) in steps.iter().zip(logits.iter()).zip(exps.iter()).enumerate() {
        let sign = if step & 1 == 0 { 1.0 } else { -1.0 };
        let (x, e) = (sign * logit.to_f64(), exp.to_f64());
        let miss = 1.0 / (1.0 + e);
        // 1 - sigmoid(x)
        let other = if x < 0.0 {
            log_prob += x;
            miss
        } else {
            e * miss
        };
        product_less_one += e + product_less_one * e;
        if product_less_one > LARGE {
            log_prob -= f64::ln_1p(product_less_one);
            product_less_one = 0.0;
        }
        if job.upstream.is_some() {
            slopes[depth] = T::from_f64(upstream * sign * other);
        }
    }
    job.log_probs[position - job.positions.start] = log_prob - f64::ln_1p(product_less_one);
    if job.upstream.is_none() {
        return;
    }
    for (depth, slope) in slopes[..steps.len()].iter().enumerate() {
        by_node[depth * ROWS + place] = *slope;
    }
    if let Some(d_hidden) = &mut job.d_hidden {
        let out = &mut *d_hidden[position - job.positions.start];
        // SAFETY: as the caller.
        unsafe { combine::<T, V>(out, job.linear.weight, node_offsets, &slopes[..steps.len()], false) };
    }
}

/// The block's share of the gradients of the nodes that it visits.
///
/// The rows that visit a node are neighbours; each node is met at the first of them in the block.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn of_nodes<T: Element, V: Vector<Scalar = T>>(job: &mut Job<'_, '_, T>, block: Range<usize>) {
    let Worker { hidden_offsets, by_node, head, head_bias, .. } = &mut *job.worker;
    let size = job.linear.hidden_size;
    let first_visit = job.batch.firsts[job.positions.start];
    let visited_before = job.batch.firsts[block.start];
    for position in block.clone() {
        let shared = if position == block.start { 0 } else { job.batch.shared(position) };
        let place = position - block.start;
        for (depth, &step) in job.batch.steps_at(position).iter().enumerate().skip(shared) {
            let visit = (step >> 1) as usize;
            let rows = place..(job.batch.visits[visit].end as usize).min(block.end) - block.start;
            let factors = &by_node[depth * ROWS..(depth + 1) * ROWS][rows.clone()];
            // A node that the thread before visits too is summed apart, and added to that thread's
            // sum at the end.
            let own = visit.checked_sub(first_visit);
            let more = if own.is_some() { visit < visited_before } else { block.start > job.positions.start };
            if let Some(d_bias) = &mut job.d_bias {
                let sum: f64 = factors.iter().map(|factor| factor.to_f64()).sum();
                let out = match own {
                    Some(own) => &mut d_bias[own],
                    None => &mut head_bias[depth],
                };
                *out = if more { *out + sum } else { sum };
            }
            if let Some(d_weight) = &mut job.d_weight {
                let out = match own {
                    Some(own) => &mut *d_weight[own],
                    None => &mut head[depth * size..(depth + 1) * size],
                };
                // SAFETY: as the caller.
                unsafe { combine::<T, V>(out, job.linear.hidden, &hidden_offsets[rows], factors, more) };
            }
        }
    }
}
