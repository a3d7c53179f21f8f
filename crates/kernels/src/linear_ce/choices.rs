//! All two-way choices of a tree at once: what label smoothing over its words comes to.
//!
//! A word's `log p` is the sum of its choices, so a weighted sum over all words is one over all
//! inner nodes, each branch with the weights of the words below it: `sum_w c_w log p(w) = sum_t a_t
//! log sigmoid(x_t) + b_t log sigmoid(-x_t)`. No normaliser is waited for: one sweep over tiles
//! makes value and gradients, and `[N, V]` is never made.

use super::buffers::Worker;
use super::gradients::{Gradients, Upstream};
use super::input::Linear;
use super::options::Options;
use super::pass::{Pass, Work};
use super::plan::Task;
use super::smoothed_mixture::log_prob_sum;
use super::span::Span;
use super::workspace::Workspace;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::queue::Order;
use crate::simd::dispatch;
use crate::tile::choices::Choices;
use crate::tile::product;

/// `s_i = sum_t a_t log sigmoid(x_it) + b_t log sigmoid(-x_it)`, `[N]`, with `x` the outputs of the
/// linear layer, and the gradients of `sum_i upstream_i s_i`; `branches` are `a` and `b`, one for
/// each class of the layer.
///
/// Cost: `6 N D V` operations, `2 N D V` where no gradient is wanted. Memory: the workspace.
///
/// # Errors
/// Slices that do not fit.
///
/// ```
/// use lexmax_kernels::linear_ce::choices::value_and_gradients;
/// use lexmax_kernels::linear_ce::{Gradients, Linear, Upstream, Workspace};
///
/// // One node between two words: the sum of their log-probabilities.
/// let linear = Linear { hidden: &[3_f64.ln()], weight: &[1.0], bias: None, hidden_size: 1 };
/// let mut d_weight = [0.0];
/// let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
/// let sum = value_and_gradients(linear, [&[1.0], &[1.0]], Upstream::Same(1.0), wanted, &mut Workspace::new(1))?;
/// assert!((sum[0] - (0.75_f64 * 0.25).ln()).abs() < 1e-12);
/// assert!((d_weight[0] - (0.25 - 0.75) * 3_f64.ln()).abs() < 1e-12);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn value_and_gradients<T: Element>(
    linear: Linear<'_, T>,
    branches: [&[T]; 2],
    upstream: Upstream<'_, T>,
    mut gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    let op = "linear_ce.choices";
    linear.check(op)?;
    let (rows, nodes, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
    for weights in branches {
        KernelError::check_length(op, "branches", weights.len(), nodes, "one weight for each node")?;
    }
    upstream.check(op, rows)?;
    gradients.check(op, rows, nodes, size)?;
    let mut values = vec![0.0; rows];
    gradients.start();
    if rows == 0 {
        gradients.nothing_counted();
        return Ok(values);
    }
    let task = if gradients.wanted() { Task::GradientsOnly } else { Task::Forward };
    let options = Options::default();
    let mut pass = Pass::new(linear, &options, Work { rows, group: 1, task }, gradients, workspace);
    for range in pass.chunks(rows) {
        let count = range.len();
        pass.chunk.gather_rows(&linear, range.clone());
        for (mass, row) in pass.chunk.mass.iter_mut().zip(range.clone()) {
            *mass = upstream.of(row);
        }
        let needs = pass.needs();
        pass.on_spans(Order::Rising, |call, worker, job, chunk| {
            worker.smoothing.start(count);
            job.span.start_smoothing(count, 1);
            let hidden = &chunk.hidden[..count * size];
            let blocks = call.plan.blocks_of(job.number);
            let first = blocks.start * call.plan.block;
            for (index, block) in blocks.enumerate() {
                let nodes = call.classes(block);
                let local = nodes.start - first..nodes.end - first;
                let (shape, _) = call.reload(worker, job, (index, block), chunk, count);
                let Worker { tile, mass, smoothing, .. } = &mut *worker;
                let Span { tiles, d_hidden, d_bias, log_prob_sums, .. } = &mut *job.span;
                let tile = call.tile(job.number, index, shape, tiles, tile);
                dispatch(
                    call.level,
                    Choices {
                        tile: &mut *tile,
                        shape,
                        transform: call.transform.of_block(nodes.clone()),
                        weights: branches.map(|weights| &weights[nodes.clone()]),
                        factor: mass,
                        sums: log_prob_sums,
                        partial: &mut smoothing.partial,
                        bias: needs.bias.then(|| &mut d_bias[local.clone()]),
                    },
                );
                if needs.hidden {
                    let weight = call.weight(&nodes);
                    product::hidden_gradient(
                        &call.products,
                        d_hidden,
                        (tile, shape),
                        weight,
                        size,
                        index > 0,
                    );
                }
                if let Some(d_weight) = &mut job.d_weight {
                    let out = &mut d_weight[local.start * size..local.end * size];
                    product::weight_gradient(
                        &call.products,
                        out,
                        (tile, shape),
                        hidden,
                        size,
                        needs.add_weight,
                    );
                }
            }
        });
        for (at, row) in range.clone().enumerate() {
            values[row] = log_prob_sum(&pass.jobs, at);
        }
        pass.add_gradients(range);
    }
    pass.finish();
    Ok(values)
}
