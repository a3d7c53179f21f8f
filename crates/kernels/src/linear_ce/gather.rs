//! What all threads share out before a call, and add up after each of its sweeps, always in the threads' order.

use super::rows::RowSums;
use super::sweep::{Call, Job};
use super::workspace::Worker;
use crate::element::Element;

/// One job for each worker, with its own rows of the weight's gradient.
pub fn jobs<'a, 'g, T: Element>(
    workers: &'a mut [Worker<T>],
    mut d_weight: Option<&'g mut [T]>,
    size: usize,
) -> Vec<Job<'a, 'g, T>> {
    let mut jobs = Vec::with_capacity(workers.len());
    for (thread, worker) in workers.iter_mut().enumerate() {
        let share = d_weight.take().map(|rest| {
            let (mine, rest) = rest.split_at_mut(worker.d_bias.len() * size);
            d_weight = Some(rest);
            mine
        });
        jobs.push(Job { thread, worker, d_weight: share });
    }
    jobs
}

/// A row's sums over all threads, in their order; its target's logit from the thread that has it.
pub fn sums<T: Element>(jobs: &[Job<'_, '_, T>], row: usize, owner: usize) -> RowSums {
    let mut total = Call::<T>::NO_SUMS;
    for job in jobs {
        let part = job.worker.sums[row];
        total.add(part.max, part.sum);
        total.weighted += part.weighted;
    }
    total.target_logit = jobs[owner].worker.sums[row].target_logit;
    total
}

/// Adds the threads' shares of the gradient of a chunk's hidden states to the rows that it is made of.
pub fn add_hidden<T: Element>(jobs: &[Job<'_, '_, T>], rows: &[usize], size: usize, d_hidden: &mut [T]) {
    for (at, row) in rows.iter().enumerate() {
        let out = &mut d_hidden[row * size..(row + 1) * size];
        for job in jobs {
            for (out, part) in out.iter_mut().zip(&job.worker.d_hidden[at * size..(at + 1) * size]) {
                *out = *out + *part;
            }
        }
    }
}

/// Adds the threads' sums of the bias's gradient, each of its own classes.
pub fn add_bias<T: Element>(jobs: &[Job<'_, '_, T>], d_bias: &mut [T]) {
    let sums = jobs.iter().flat_map(|job| &job.worker.d_bias);
    for (out, sum) in d_bias.iter_mut().zip(sums) {
        *out = T::from_f64(out.to_f64() + sum);
    }
}
