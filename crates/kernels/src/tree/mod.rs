//! Log-probabilities of words that are reached by two-way choices in a tree, with the gradients of
//! the nodes on the way alone.
//!
//! `log p(y_i) = sum_t log sigmoid(s_t (v_t . h_i + b_t))` over the nodes `t` on the path to `y_i`,
//! with the sign 1 where the path takes branch 0 and -1 where it takes branch 1 (Morin and Bengio
//! 2005, "Hierarchical probabilistic neural network language model"; Mikolov et al. 2013,
//! "Distributed representations of words and phrases", arXiv 1310.4546).
//!
//! [`Batch::new`] looks the paths up and sorts the rows by them. Then the rows that visit a node
//! are neighbours: a node near the root stays in the first-level cache for all of them, and its
//! gradient is summed in registers over a block of rows. No buffer has the size `[steps, D]`.
//! Threads own neighbouring rows, and with them the nodes that these visit first. Gradients of
//! nodes that belong to an earlier thread, at most one path of them, are accumulated in a buffer of
//! their own and added afterwards, in the order of the threads.
//!
//! * [`log_prob`]: log-probabilities alone.
//! * [`log_prob_and_gradients`]: also the gradients of their weighted sum, of the nodes as rows:
//!   those of [`Batch::nodes`] only.

mod batch;
mod sweep;
mod vector;
mod workspace;

pub use crate::row_gradients::RowGradients as Gradients;
pub use batch::{Batch, Table};
pub use workspace::{Workspace, workspace_bytes};

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::{Linear, Upstream};
use crate::simd::dispatch;
use crate::{parts, pool};
use sweep::Job;

/// A thread of its own is worth starting for this many operations.
const OPERATIONS_PER_THREAD: usize = 2_000_000;

/// `log p` of each row's target, `[N]`. `linear` holds hidden states `[N, D]` and, for each node, a
/// weight and perhaps a bias. Cost: `2 T D` operations for the `T` steps of all paths.
///
/// # Errors
/// Slices that do not fit, or not of as many rows and nodes as the batch.
///
/// ```
/// use lexmax_kernels::linear_ce::Linear;
/// use lexmax_kernels::tree::{Batch, Table, Workspace, log_prob};
///
/// // Word 0 by branch 0 of the root, node 0; words 1 and 2 below node 1.
/// let table = Table { offsets: &[0, 1, 3, 5], steps: &[0, 1, 2, 1, 3] };
/// let linear = Linear { hidden: &[1.0_f32, 0.0], weight: &[3_f32.ln(), 0.0, 0.0, 5.0], bias: None, hidden_size: 2 };
/// let batch = Batch::new(table, &[2], 2)?;
/// assert_eq!(batch.nodes(), [0, 1]);
/// let log_p = log_prob(linear, &batch, &mut Workspace::new(1))?;
/// assert!((log_p[0] - (0.25_f64 * 0.5).ln()).abs() < 1e-6);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn log_prob<T: Element>(
    linear: Linear<'_, T>,
    batch: &Batch,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    run("tree.log_prob", linear, batch, None, Gradients::default(), workspace)
}

/// `log p` of each row's target and the gradients of `sum_i upstream_i log p_i`. Cost: `6 T D`
/// operations for the `T` steps of all paths; memory beside the workspace: 16 bytes for each row
/// and node, the slices that threads write to.
///
/// # Errors
/// As [`log_prob`], and gradients that do not fit.
///
/// ```
/// use lexmax_kernels::linear_ce::{Linear, Upstream};
/// use lexmax_kernels::tree::{Batch, Gradients, Table, Workspace, log_prob_and_gradients};
///
/// let table = Table { offsets: &[0, 1, 3, 5], steps: &[0, 1, 2, 1, 3] };
/// let linear = Linear { hidden: &[1.0_f32, 2.0], weight: &[0.0; 4], bias: None, hidden_size: 2 };
/// let batch = Batch::new(table, &[0], 2)?; // the root alone
/// let mut d_weight = [9.0; 2];
/// let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
/// log_prob_and_gradients(linear, &batch, Upstream::Same(1.0), wanted, &mut Workspace::new(1))?;
/// assert_eq!(d_weight, [0.5, 1.0]); // (1 - 1/2) h
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn log_prob_and_gradients<T: Element>(
    linear: Linear<'_, T>,
    batch: &Batch,
    upstream: Upstream<'_, T>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    run("tree.log_prob_and_gradients", linear, batch, Some(upstream), gradients, workspace)
}

fn run<T: Element>(
    op: &'static str,
    linear: Linear<'_, T>,
    batch: &Batch,
    upstream: Option<Upstream<'_, T>>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    check(op, linear, batch, upstream, &gradients)?;
    let size = linear.hidden_size;
    let operations = if upstream.is_some() { 6 } else { 2 } * batch.step_count() * size;
    let threads = (operations / OPERATIONS_PER_THREAD).clamp(1, workspace.threads);
    workspace.fit(threads, batch, size);
    let mut by_position = vec![0.0; batch.rows()];
    let with_bias = gradients.bias.is_some();
    let mut bias_by_visit = vec![0.0; if with_bias { batch.visits.len() } else { 0 }];
    let (visits, level) = (&batch.visits, workspace.level);
    let slots = || visits.iter().map(|visit| visit.slot as usize);
    let positions = || batch.order.iter().map(|&row| row as usize);
    let mut jobs = Vec::with_capacity(threads);
    {
        let mut hidden_rows = gradients.hidden.map(|out| parts::in_order(out, size, positions()));
        let mut weight_rows = gradients.weight.map(|out| parts::in_order(out, size, slots()));
        let (mut log_probs, mut d_bias) = (&mut by_position[..], &mut bias_by_visit[..]);
        for (thread, worker) in workspace.workers.iter_mut().enumerate() {
            let positions = batch.share(thread, threads);
            let visits = batch.firsts[positions.end] - batch.firsts[positions.start];
            let bias = if with_bias { parts::split(&mut d_bias, visits) } else { &mut [] };
            jobs.push(Job {
                linear,
                batch,
                upstream,
                log_probs: parts::split(&mut log_probs, positions.len()),
                d_hidden: hidden_rows.as_mut().map(|rows| rows.by_ref().take(positions.len()).collect()),
                d_weight: weight_rows.as_mut().map(|rows| rows.by_ref().take(visits).collect()),
                d_bias: with_bias.then_some(bias),
                worker,
                positions,
            });
        }
    }
    pool::on_each(&mut jobs, |job| dispatch(level, &mut *job));
    add_heads(batch, &mut jobs, size);
    drop(jobs);
    if let Some(bias) = gradients.bias {
        for (slot, sum) in slots().zip(&bias_by_visit) {
            bias[slot] = T::from_f64(*sum);
        }
    }
    let mut log_probs = vec![0.0; batch.rows()];
    for (row, log_prob) in positions().zip(by_position) {
        log_probs[row] = log_prob;
    }
    Ok(log_probs)
}

/// Adds what threads summed for nodes of the threads before them, in the order of the threads.
fn add_heads<T: Element>(batch: &Batch, jobs: &mut [Job<'_, '_, T>], size: usize) {
    for thread in 1..jobs.len() {
        let (before, rest) = jobs.split_at_mut(thread);
        let job = &rest[0];
        if job.positions.is_empty() {
            continue;
        }
        let first = job.positions.start;
        for (depth, step) in batch.steps_at(first)[..batch.shared(first)].iter().enumerate() {
            let visit = (step >> 1) as usize;
            // The thread whose rows visited it first; a thread without rows has no visits either.
            let owner = before.iter_mut().find(|job| {
                (batch.firsts[job.positions.start]..batch.firsts[job.positions.end]).contains(&visit)
            });
            let Some(owner) = owner else { continue };
            let own = visit - batch.firsts[owner.positions.start];
            if let Some(d_weight) = &mut owner.d_weight {
                let part = &job.worker.head[depth * size..(depth + 1) * size];
                for (out, part) in d_weight[own].iter_mut().zip(part) {
                    *out = *out + *part;
                }
            }
            if let Some(d_bias) = &mut owner.d_bias {
                d_bias[own] += job.worker.head_bias[depth];
            }
        }
    }
}

fn check<T: Element>(
    op: &'static str,
    linear: Linear<'_, T>,
    batch: &Batch,
    upstream: Option<Upstream<'_, T>>,
    gradients: &Gradients<'_, T>,
) -> Result<()> {
    linear.check(op)?;
    let (rows, size, nodes) = (batch.rows(), linear.hidden_size, batch.nodes().len());
    KernelError::check_length(op, "hidden", linear.hidden.len(), rows * size, "one row for each target")?;
    let weight = batch.node_count() * size;
    KernelError::check_length(op, "weight", linear.weight.len(), weight, "one row for each node")?;
    if let Some(Upstream::Rows(factors)) = upstream {
        KernelError::check_length(op, "upstream", factors.len(), rows, "one for each row")?;
    }
    gradients.check(op, rows, nodes, size)
}
