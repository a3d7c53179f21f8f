//! Exact queries of a linear layer and its softmax, each in one sweep, without logits `[N, V]`: the
//! `k` most probable classes, draws, and (by [`crate::linear_ce::loss`]) log-probabilities of
//! targets and log-normalisers.

mod mixture;
mod sample;
mod top_k;

pub use mixture::{MixtureTopK, mixture_top_k};
pub use sample::sample;
pub use top_k::{TopK, top_k};

use crate::element::Element;
use crate::error::Result;
use crate::linear_ce::{Gradients, Linear, Options, Pass, Task, Work, Workspace};
use crate::queue::Order;
use crate::tile::Shape;
use crate::tile::normalise::Keep;
use crate::transform::LogitTransform;

/// Query of one sweep: the linear layer, its transform, and the tile content that visitors read.
pub(crate) struct Query<'a, T> {
    pub op: &'static str,
    pub linear: Linear<'a, T>,
    /// Temperature: divides the logits before anything else; above zero.
    pub temperature: f64,
    pub transform: LogitTransform,
    pub keep: Keep,
}

/// One block of classes of one chunk of rows, after the sweep.
pub(crate) struct Block<'a, T> {
    /// Tile with the content that [`Query::keep`] asks for, `[classes, rows]` with the shape's
    /// stride.
    pub tile: &'a [T],
    pub shape: Shape,
    pub number: usize,
    pub first_class: usize,
    /// Largest logit of each row in this block.
    pub max: &'a [T],
    /// Sum of each row's exponentials in this block, relative to `max`.
    pub sum: &'a [T],
}

/// Sweeps all blocks and hands each to `visit`, with a state; `finish` gets all states, the chunk's
/// first row and, per row, the log-normaliser.
///
/// A state sees blocks in rising order, all of one thread: a thread has a state for its own spans,
/// and new ones for those that it takes from others. How many there are and which blocks each saw
/// depends on time, so what `finish` makes of them must not.
pub(crate) fn for_each_block<T: Element, S: Send>(
    query: Query<'_, T>,
    workspace: &mut Workspace<T>,
    new_state: impl Fn(usize) -> S + Sync,
    visit: impl Fn(&mut S, usize, &Block<'_, T>) + Sync,
    mut finish: impl FnMut(Vec<S>, usize, &[f64]) -> Result<()>,
) -> Result<()> {
    let Query { op, linear, temperature, transform, keep } = query;
    linear.check(op)?;
    let options = Options { temperature, transform, ..Options::default() };
    options.check(op, linear.vocab_size())?;
    let rows = linear.rows();
    let work = Work { rows, group: 1, task: Task::Forward };
    let mut pass = Pass::new(linear, &options, work, Gradients::default(), workspace);
    for range in pass.chunks(rows) {
        let (first, count) = (range.start, range.len());
        pass.chunk.gather_rows(&linear, range);
        let Pass { call, workers, jobs, queue, chunk, .. } = &mut pass;
        let (call, chunk) = (&*call, &**chunk);
        let mut states: Vec<Vec<(usize, S)>> = workers.iter().map(|_| Vec::new()).collect();
        let mut visitors: Vec<_> = workers.iter_mut().zip(&mut states).collect();
        queue.run(&mut visitors, jobs, Order::Rising, |(worker, states), job| {
            if states.last().is_none_or(|(last, _)| *last > job.number) {
                states.push((job.number, new_state(count)));
            }
            let Some((last, state)) = states.last_mut() else { return };
            *last = job.number;
            job.span.start_sums(count);
            for (index, number) in call.plan.blocks_of(job.number).enumerate() {
                call.sums_of_block(worker, job, (index, number), keep, chunk, count);
                let classes = call.classes(number);
                let shape = Shape { rows: count, classes: classes.len() };
                let tile = &worker.tile.as_slice()[..shape.len()];
                let (max, sum) = (&worker.max[..], &worker.sum[..]);
                visit(state, first, &Block { tile, shape, number, first_class: classes.start, max, sum });
            }
        });
        let states = states.into_iter().flatten().map(|(_, state)| state).collect();
        let log_normalisers: Vec<f64> = (0..count).map(|row| pass.sums(row).log_normaliser()).collect();
        finish(states, first, &log_normalisers)?;
    }
    Ok(())
}
