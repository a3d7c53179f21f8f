//! How rows and touched classes are shared among threads: each writes its own part of the losses
//! and gradients.

use super::Gradients;
use super::candidates::Candidates;
use super::workspace::Worker;
use crate::tile::ROW_MULTIPLE;

/// One thread's rows.
pub(super) struct RowsJob<'a, T> {
    pub worker: &'a mut Worker<T>,
    pub first: usize,
    pub loss: &'a mut [f64],
    pub target_gradient: &'a mut [f64],
    pub d_hidden: Option<&'a mut [T]>,
}

/// One thread's touched classes.
pub(super) struct ClassesJob<'a, T> {
    pub touched: std::ops::Range<usize>,
    pub d_weight: Option<&'a mut [T]>,
    pub d_bias: Option<&'a mut [T]>,
}

/// About as many rows for each worker, in whole registers.
pub(super) fn rows_jobs<'a, T>(
    workers: &'a mut [Worker<T>],
    loss: &'a mut [f64],
    target_gradient: &'a mut [f64],
    mut d_hidden: Option<&'a mut [T]>,
    size: usize,
) -> Vec<RowsJob<'a, T>> {
    let (threads, rows) = (workers.len(), loss.len());
    let end = |thread: usize| (rows.div_ceil(ROW_MULTIPLE) * (thread + 1) / threads * ROW_MULTIPLE).min(rows);
    let (mut loss, mut target_gradient) = (Some(loss), Some(target_gradient));
    let mut first = 0;
    let mut jobs = Vec::with_capacity(threads);
    for (thread, worker) in workers.iter_mut().enumerate() {
        let rows = end(thread) - first;
        jobs.push(RowsJob {
            worker,
            first,
            loss: take(&mut loss, rows).unwrap_or_default(),
            target_gradient: take(&mut target_gradient, rows).unwrap_or_default(),
            d_hidden: take(&mut d_hidden, rows * size),
        });
        first += rows;
    }
    jobs
}

/// About as many candidates for each thread, in whole classes.
pub(super) fn classes_jobs<'a, T>(
    candidates: &Candidates,
    threads: usize,
    gradients: &'a mut Gradients<'_, T>,
    size: usize,
) -> Vec<ClassesJob<'a, T>> {
    let (mut d_weight, mut d_bias) = (gradients.weight.as_deref_mut(), gradients.bias.as_deref_mut());
    let mut start = 0;
    let mut jobs = Vec::with_capacity(threads);
    for end in candidates.shares(threads) {
        let classes = end - start;
        jobs.push(ClassesJob {
            touched: start..end,
            d_weight: take(&mut d_weight, classes * size),
            d_bias: take(&mut d_bias, classes),
        });
        start = end;
    }
    jobs
}

/// Splits the next `len` elements off an output, where there is one.
fn take<'a, T>(rest: &mut Option<&'a mut [T]>, len: usize) -> Option<&'a mut [T]> {
    let (taken, left) = rest.take()?.split_at_mut(len);
    *rest = Some(left);
    Some(taken)
}
