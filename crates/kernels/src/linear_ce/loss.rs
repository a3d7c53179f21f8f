//! Loss, gradients or both of one softmax: what is computed from each row's sums between the
//! sweeps.

use super::filter::Filtered;
use super::filtered::Filtering;
use super::gradients::{Gradients, Upstream};
use super::input::{Linear, counted_rows};
use super::options::Options;
use super::pass::{Pass, Work};
use super::plan::Task;
use super::rows::RowLoss;
use super::workspace::Workspace;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::queue::Order;

/// Losses of the rows and what was found on the way; each `[N]`, zero in ignored rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowLosses {
    /// Loss of each row, `l_i`, class weights included, not reduced.
    pub loss: Vec<f64>,
    /// Log-normaliser of each row, `log sum_c exp z_c`.
    pub log_normaliser: Vec<f64>,
    /// Log-probability of each row's target, `log p(y_i)`.
    pub target_log_prob: Vec<f64>,
    /// Entries that [`Options::filter`] dropped; `None` without a filter or without gradients.
    pub filtered: Option<Filtered>,
}

/// Loss of each row. Cost: `2 N D V` operations; memory: a tile for each thread.
///
/// # Errors
/// Slices that do not fit, a target that names no class, an option out of its range.
///
/// ```
/// use lexmax_kernels::linear_ce::{Linear, Options, Workspace, loss};
///
/// let linear = Linear { hidden: &[1.0_f32, 0.0], weight: &[0.0, 0.0, 0.0, 0.0, 3_f32.ln(), 0.0], bias: None, hidden_size: 2 };
/// let rows = loss(linear, &[2], &Options::default(), &mut Workspace::new(1))?;
/// assert!((rows.target_log_prob[0] - (3.0_f64 / 5.0).ln()).abs() < 1e-6);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn loss<T: Element>(
    linear: Linear<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<RowLosses> {
    run("linear_ce.loss", linear, targets, options, Mode::Loss, Gradients::default(), workspace)
}

/// Loss of each row and the gradients of `sum_i upstream_i l_i`. Cost: `6 N D V` operations, up to
/// `8 N D V` where the memory limit does not let all logits of a chunk be kept.
///
/// # Errors
/// As [`loss`], and gradients that do not fit.
///
/// ```
/// use lexmax_kernels::linear_ce::{Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients};
///
/// let linear = Linear { hidden: &[1.0_f32, 2.0], weight: &[0.0; 6], bias: None, hidden_size: 2 };
/// let mut d_weight = [0.0; 6];
/// let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
/// let rows = loss_and_gradients(linear, &[0], &Options::default(), Upstream::Same(1.0), wanted, &mut Workspace::new(1))?;
/// assert!((rows.loss[0] - 3_f64.ln()).abs() < 1e-6);
/// assert!((d_weight[3] - 2.0 / 3.0).abs() < 1e-6); // (p_1 - 0) h_1
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn loss_and_gradients<T: Element>(
    linear: Linear<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: Upstream<'_, T>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<RowLosses> {
    run("linear_ce.loss_and_gradients", linear, targets, options, Mode::Both(upstream), gradients, workspace)
}

/// Gradients of `sum_i upstream_i l_i` when the losses are known already. Cost: `6 N D V`
/// operations, since logits are computed again. Gives what [`Options::filter`] left out, where it
/// is set.
///
/// # Errors
/// As [`loss_and_gradients`], and `rows` that are not those of as many targets.
pub fn gradients<T: Element>(
    linear: Linear<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    rows: &RowLosses,
    upstream: Upstream<'_, T>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Option<Filtered>> {
    let op = "linear_ce.gradients";
    for (what, known) in
        [("log_normaliser", &rows.log_normaliser), ("target_log_prob", &rows.target_log_prob)]
    {
        KernelError::check_length(op, what, known.len(), targets.len(), "one for each target")?;
    }
    run(op, linear, targets, options, Mode::Known(rows, upstream), gradients, workspace)
        .map(|rows| rows.filtered)
}

/// Which sweeps are made.
#[derive(Debug, Clone, Copy)]
enum Mode<'a, T> {
    Loss,
    Both(Upstream<'a, T>),
    Known(&'a RowLosses, Upstream<'a, T>),
}

fn run<'a, T: Element>(
    op: &'static str,
    linear: Linear<'a, T>,
    targets: &[i64],
    options: &Options<'a, T>,
    mode: Mode<'_, T>,
    mut gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<RowLosses> {
    linear.check(op)?;
    let (rows, vocab_size, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
    options.check(op, vocab_size)?;
    options.check_rows(op, rows)?;
    let counted = counted_rows(op, targets, rows, vocab_size, options.ignore_index)?;
    gradients.check(op, rows, vocab_size, size)?;
    let (task, upstream) = match mode {
        Mode::Loss => (Task::Forward, Upstream::Same(0.0)),
        Mode::Both(upstream) if gradients.wanted() => (Task::Gradients, upstream),
        Mode::Both(upstream) => (Task::Forward, upstream),
        Mode::Known(_, upstream) => (Task::GradientsOnly, upstream),
    };
    upstream.check(op, rows)?;
    let mut out = RowLosses {
        loss: vec![0.0; rows],
        log_normaliser: vec![0.0; rows],
        target_log_prob: vec![0.0; rows],
        filtered: None,
    };
    gradients.start();
    if options.filter.is_some() && task != Task::Forward {
        let entries = counted.len() as u64 * vocab_size as u64;
        out.filtered = Some(Filtered { dropped_mass: 0.0, kept: entries, entries });
    }
    if counted.is_empty() {
        gradients.nothing_counted();
        return Ok(out);
    }
    let filter = options.active_filter();
    let row_loss = RowLoss::new(options, vocab_size);
    let work = Work { rows: counted.len(), group: 1, task };
    let mut pass = Pass::new(linear, options, work, gradients, workspace);
    for range in pass.chunks(counted.len()) {
        let rows = &counted[range];
        pass.chunk.gather(&linear, targets, rows);
        if !matches!(mode, Mode::Known(..)) {
            pass.sweep_sums(rows.len());
        }
        for (at, row) in rows.iter().enumerate() {
            let class = pass.chunk.targets[at];
            let target_weight = options.target_weight(*row, class);
            // exp(z - max) is summed to `sum`; with a known normaliser the maximum is that,
            // rounded, and the rest the sum.
            let (max, sum) = match mode {
                Mode::Known(known, _) => {
                    out.log_normaliser[*row] = known.log_normaliser[*row];
                    out.target_log_prob[*row] = known.target_log_prob[*row];
                    let rounded = T::from_f64(known.log_normaliser[*row]).to_f64();
                    (rounded, (known.log_normaliser[*row] - rounded).exp())
                }
                Mode::Loss | Mode::Both(_) => {
                    let sums = pass.sums(at);
                    out.loss[*row] = row_loss.loss(&sums, target_weight);
                    out.log_normaliser[*row] = sums.log_normaliser();
                    out.target_log_prob[*row] = sums.target_log_prob();
                    (sums.max, sums.sum)
                }
            };
            if task != Task::Forward {
                let factors =
                    row_loss.factors(out.log_normaliser[*row], out.target_log_prob[*row], target_weight);
                let scale = upstream.of(*row) / options.temperature;
                let target_logit = out.target_log_prob[*row] + out.log_normaliser[*row];
                let chunk = &mut *pass.chunk;
                chunk.max[at] = T::from_f64(max);
                chunk.mass[at] = scale * factors.mass / sum;
                chunk.share[at] = 1.0 / sum;
                chunk.spread[at] = T::from_f64(scale * factors.spread);
                chunk.target[at] = scale * factors.target * options.slope(target_logit, class);
            }
        }
        if task == Task::Forward {
            continue;
        }
        let (needs, summed) = (pass.needs(), task == Task::Gradients);
        pass.on_spans(Order::Falling, |call, worker, job, chunk| match filter {
            Some(filter) => {
                let filtering = Filtering { filter, summed };
                call.filtered_gradients(worker, job, chunk, rows.len(), needs, filtering)
            }
            None => call.gradients(worker, job, chunk, rows.len(), needs, None),
        });
        pass.add_gradients(rows.iter().copied());
    }
    if filter.is_some() && task != Task::Forward {
        let mut total = Filtered::default();
        pass.jobs.iter().for_each(|job| total.add(job.span.filtered));
        out.filtered = Some(total);
    }
    pass.finish();
    Ok(out)
}
