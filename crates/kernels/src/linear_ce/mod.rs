//! Exact linear cross-entropy: a linear layer, its softmax and the loss in one, without logits `[N, V]`.
//!
//! For a chunk of rows and a block of classes at a time, the logits are made by one product into a tile, and swept while they
//! are in the cache: maximum, exponentials and their sum; when a row's normaliser is known, the gradient of the logits in
//! place, and from it at once the two gradient products. The plan ([`workspace_bytes`] says what it takes) decides how many
//! rows a chunk has and whether logits are kept or computed again between the sweeps. Threads share the classes, so each
//! writes its own rows of the weight's gradient.
//!
//! * [`loss`]: losses alone, one sweep.
//! * [`loss_and_gradients`]: both, where the factor of each row's loss in the final number is known before.
//! * [`Filter`]: leaves classes without probability out of the gradient sweep.
//! * [`gradients`]: gradients after [`loss`], where that factor is known only then (reduction none).
//! * [`mixture`]: both for a mixture of softmaxes over one layer.
//! * [`choices`]: every two-way choice of a tree in place of a softmax.
//!
//! The idea of computing gradients together with the loss is that of Liger Kernel (Hsu et al. 2024, arXiv 2410.10989), the sweep
//! with a running maximum that of Milakov and Gimelshein (2018, "Online normalizer calculation for softmax", arXiv
//! 1805.02867).

pub mod choices;
mod filter;
mod filtered;
mod gather;
mod input;
pub mod mixture;
mod options;
mod plan;
mod rows;
mod smoothed_mixture;
mod sweep;
mod workspace;

pub use filter::{Filter, Filtered};
pub use input::Linear;
pub use options::Options;
pub use workspace::{Workspace, default_memory_limit, filtered_workspace_bytes, workspace_bytes};

pub(crate) use input::counted_rows;
pub(crate) use plan::{Plan, Sizes, Task};
pub(crate) use sweep::Call;

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::pool;
use rows::RowLoss;
use sweep::Needs;

/// Losses of the rows and what was found on the way; each `[N]`, zero in ignored rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowLosses {
    /// `l_i`, class weights included, not reduced.
    pub loss: Vec<f64>,
    /// `log sum_c exp z_c`.
    pub log_normaliser: Vec<f64>,
    /// `log p(y_i)`.
    pub target_log_prob: Vec<f64>,
    /// What [`Options::filter`] left out of the gradients, where it is set and gradients were made.
    pub filtered: Option<Filtered>,
}

/// Derivative of the final number with respect to each row's loss: `1 / mean_divisor` for the mean, 1 for the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Upstream<'a, T> {
    /// The same for every row.
    Same(f64),
    /// One for each row, `[N]`.
    Rows(&'a [T]),
}

impl<T: Element> Upstream<'_, T> {
    fn of(&self, row: usize) -> f64 {
        match self {
            Self::Same(factor) => *factor,
            Self::Rows(factors) => factors[row].to_f64(),
        }
    }

    fn check(&self, op: &'static str, rows: usize) -> Result<()> {
        match self {
            Self::Same(_) => Ok(()),
            Self::Rows(given) => {
                KernelError::check_length(op, "upstream", given.len(), rows, "one for each row")
            }
        }
    }
}

/// Where gradients go; those that are `None` are not computed.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// `[N, D]`, overwritten (ignored rows with zero).
    pub hidden: Option<&'a mut [T]>,
    /// `[V, D]`.
    pub weight: Option<&'a mut [T]>,
    /// `[V]`; the rows of a chunk are added in `T`, chunks in f64.
    pub bias: Option<&'a mut [T]>,
    /// Whether weight and bias are added to what is there instead of overwritten.
    pub accumulate: bool,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        Self { hidden: None, weight: None, bias: None, accumulate: false }
    }
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

/// Loss of each row and the gradients of `sum_i upstream_i l_i`. Cost: `6 N D V` operations, up to `8 N D V` where the memory limit
/// does not let all logits of a chunk be kept.
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

/// Gradients of `sum_i upstream_i l_i` when the losses are known already. Cost: `6 N D V` operations, since logits are computed
/// again. Gives what [`Options::filter`] left out, where it is set.
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
    let filtered = filter.is_some();
    let sizes = Sizes { rows: counted.len(), hidden_size: size, vocab_size, bytes: size_of::<T>(), filtered };
    let plan = Plan::new(sizes, workspace.threads, workspace.memory_limit, task);
    workspace.fit(&plan, sizes, task);
    let call = Call::new(linear, options, plan, workspace.level);
    let row_loss = RowLoss::new(options, vocab_size);
    let Workspace { workers, chunk, .. } = workspace;
    let mut jobs = gather::jobs(&mut workers[..plan.threads], gradients.weight, size);
    for (number, rows) in counted.chunks(plan.chunk).enumerate() {
        chunk.gather(&linear, targets, rows);
        if !matches!(mode, Mode::Known(..)) {
            pool::on_each(&mut jobs, |job| call.sums(job.worker, job.thread, chunk, rows.len()));
        }
        for (at, row) in rows.iter().enumerate() {
            let target_weight = options.target_weight(*row, chunk.targets[at]);
            // exp(z - max) is summed to `sum`; with a known normaliser the maximum is that, rounded, and the rest the sum.
            let (max, sum) = match mode {
                Mode::Known(known, _) => {
                    out.log_normaliser[*row] = known.log_normaliser[*row];
                    out.target_log_prob[*row] = known.target_log_prob[*row];
                    let rounded = T::from_f64(known.log_normaliser[*row]).to_f64();
                    (rounded, (known.log_normaliser[*row] - rounded).exp())
                }
                Mode::Loss | Mode::Both(_) => {
                    let sums = gather::sums(&jobs, at, call.classes_owner(chunk.targets[at]));
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
                chunk.max[at] = T::from_f64(max);
                chunk.mass[at] = scale * factors.mass / sum;
                chunk.share[at] = 1.0 / sum;
                chunk.spread[at] = T::from_f64(scale * factors.spread);
                chunk.target[at] = scale * factors.target * options.slope(target_logit, chunk.targets[at]);
            }
        }
        if task == Task::Forward {
            continue;
        }
        let needs = Needs {
            hidden: gradients.hidden.is_some(),
            bias: gradients.bias.is_some(),
            add_weight: gradients.accumulate || number > 0,
        };
        let summed = task == Task::Gradients;
        pool::on_each(&mut jobs, |job| match filter {
            Some(filter) => call.filtered_gradients(job, chunk, rows.len(), needs, filter, summed),
            None => call.gradients(job, chunk, rows.len(), needs, None),
        });
        if let Some(d_hidden) = &mut gradients.hidden {
            gather::add_hidden(&jobs, rows, size, d_hidden);
        }
    }
    if filtered && task != Task::Forward {
        let mut total = Filtered::default();
        jobs.iter().for_each(|job| total.add(job.worker.gathered.filtered));
        out.filtered = Some(total);
    }
    if let Some(d_bias) = gradients.bias {
        gather::add_bias(&jobs, d_bias);
    }
    Ok(out)
}

impl<T: Element> Gradients<'_, T> {
    fn check(&self, op: &'static str, rows: usize, vocab_size: usize, size: usize) -> Result<()> {
        if let Some(hidden) = &self.hidden {
            KernelError::check_length(op, "gradient of hidden", hidden.len(), rows * size, "N rows of D")?;
        }
        if let Some(weight) = &self.weight {
            KernelError::check_length(
                op,
                "gradient of weight",
                weight.len(),
                vocab_size * size,
                "V rows of D",
            )?;
        }
        if let Some(bias) = &self.bias {
            KernelError::check_length(op, "gradient of bias", bias.len(), vocab_size, "one for each class")?;
        }
        Ok(())
    }

    /// Whether any is.
    pub(crate) fn wanted(&self) -> bool {
        self.hidden.is_some() || self.weight.is_some() || self.bias.is_some()
    }

    /// Zeros what sums are added to. The weight's gradient is not: the first chunk overwrites it.
    fn start(&mut self) {
        let zero = T::default();
        if let Some(hidden) = &mut self.hidden {
            hidden.fill(zero);
        }
        if let Some(bias) = self.bias.as_mut().filter(|_| !self.accumulate) {
            bias.fill(zero);
        }
    }

    /// The weight's gradient where there is no chunk to overwrite it.
    fn nothing_counted(self) {
        if let Some(weight) = self.weight.filter(|_| !self.accumulate) {
            weight.fill(T::default());
        }
    }
}
