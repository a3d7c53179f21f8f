//! A mixture of softmaxes over one linear layer: loss and all gradients in the sweeps of one
//! softmax over `N K` rows.
//!
//! The `K` components of a token share the class weight, so their latent states are `K`
//! neighbouring rows of one linear layer. Chunks hold whole tokens. After the first sweep over a
//! chunk every row's normaliser and target logit are known, and with them the token's
//! `log p(y) = log sum_k exp(log pi_k + log p_k(y))` and the share of each component in it,
//! `r_k = exp(log pi_k + log p_k(y) - log p(y))`. The gradient of component `k`'s logits is `r_k`
//! times that of a softmax alone, so the second sweep is the plain one with a factor for each row,
//! and nothing is computed again that one softmax would not. Label smoothing asks for the shares in
//! every class: `smoothed_mixture.rs`.
//!
//! What an evaluation needs is less: [`super::loss`] of the `N K` rows gives `log p_k(y)`.

use super::buffers::ComponentFactors;
use super::gradients::{Gradients, Upstream};
use super::input::{Linear, counted_rows};
use super::options::Options;
use super::pass::{Pass, Work};
use super::plan::Task;
use super::smoothed_mixture;
use super::workspace::Workspace;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::logspace::log_sum_exp;
use crate::queue::Order;
use crate::tile::stride;

/// Mixture `p(c) = sum_k exp(log pi_k) softmax(z_k)_c` of `K` softmaxes, as its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Mixture<'a, T> {
    /// The layer that all components share; hidden `[N K, D]`, the `K` rows of one token together.
    pub linear: Linear<'a, T>,
    /// Log mixture weights, `log pi`, `[N, K]`.
    pub log_prior: &'a [T],
    /// Number of components, `K`.
    pub components: usize,
}

/// Output buffers of the gradients; those that are `None` are not computed.
#[derive(Debug)]
pub struct MixtureGradients<'a, T> {
    /// Gradients of the linear layer, the one of the hidden states `[N K, D]`.
    pub linear: Gradients<'a, T>,
    /// Gradient of the log mixture weights, `[N, K]`, overwritten: `-w_y r_k` times the upstream
    /// factor, each `log pi_k` taken as an independent variable.
    pub log_prior: Option<&'a mut [T]>,
}

impl<T> Default for MixtureGradients<'_, T> {
    fn default() -> Self {
        Self { linear: Gradients::default(), log_prior: None }
    }
}

/// Loss of each token, `-w_y log p(y)`, `[N]` (zero where it is ignored), and the gradients of
/// `sum_i upstream_i l_i`.
///
/// Cost: `6 N K D V` operations, up to `8 N K D V` where the memory limit does not let all logits
/// of a chunk be kept; `2 N K D V` where no gradient is wanted. Memory: the workspace and two
/// numbers for each of the `N K` rows.
///
/// `log p(c)` of a mixture is no sum over its components, so label smoothing,
/// `-e/V sum_c w_c log p(c)`, takes a sweep of its own between the two: up to `2 N K D V`
/// operations more. The z-loss and the focal factor, which are those of one softmax, are refused.
///
/// # Errors
/// Slices that do not fit, a target that names no class, an option out of its range or refused.
///
/// ```
/// use lexmax_kernels::linear_ce::{Linear, Options, Upstream, Workspace};
/// use lexmax_kernels::linear_ce::mixture::{Mixture, MixtureGradients, loss_and_gradients};
///
/// // Two components; the second is certain of class 0, and has a third of the weight.
/// let linear = Linear { hidden: &[0.0_f32, 99.0], weight: &[1.0, 0.0], bias: None, hidden_size: 1 };
/// let log_prior = [(2.0_f32 / 3.0).ln(), (1.0_f32 / 3.0).ln()];
/// let mut d_log_prior = [0.0; 2];
/// let wanted = MixtureGradients { log_prior: Some(&mut d_log_prior), ..MixtureGradients::default() };
/// let mixture = Mixture { linear, log_prior: &log_prior, components: 2 };
/// let upstream = Upstream::Same(1.0);
/// let loss = loss_and_gradients(mixture, &[0], &Options::default(), upstream, wanted, &mut Workspace::new(1))?;
/// assert!((loss[0] + (2.0_f64 / 3.0).ln()).abs() < 1e-6); // 2/3 times 1/2 and 1/3 times 1
/// assert!((d_log_prior[0] + 0.5).abs() < 1e-6); // half of p(y) comes from either
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn loss_and_gradients<T: Element>(
    mixture: Mixture<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: Upstream<'_, T>,
    wanted: MixtureGradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    let op = "linear_ce.mixture";
    mixture.check(op)?;
    let Mixture { linear, log_prior, components } = mixture;
    let (rows, vocab_size, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
    let tokens = rows / components;
    options.check(op, vocab_size)?;
    check_options(op, options)?;
    options.check_rows(op, tokens)?;
    let counted = counted_rows(op, targets, tokens, vocab_size, options.ignore_index)?;
    upstream.check(op, tokens)?;
    let MixtureGradients { linear: mut gradients, log_prior: mut d_log_prior } = wanted;
    gradients.check(op, rows, vocab_size, size)?;
    if let Some(d_log_prior) = &mut d_log_prior {
        let given = d_log_prior.len();
        KernelError::check_length(op, "gradient of log_prior", given, rows, "N rows of K")?;
        d_log_prior.fill(T::default());
    }
    let mut loss = vec![0.0; tokens];
    let needs_sweep = gradients.wanted();
    gradients.start();
    if counted.is_empty() {
        gradients.nothing_counted();
        return Ok(loss);
    }

    let members: Vec<usize> =
        counted.iter().flat_map(|token| token * components..(token + 1) * components).collect();
    let of_rows: Vec<i64> =
        targets.iter().flat_map(|target| std::iter::repeat_n(*target, components)).collect();
    let task = if needs_sweep { Task::Gradients } else { Task::Forward };
    let work = Work { rows: members.len(), group: components, task };
    let mut pass = Pass::new(linear, options, work, gradients, workspace);
    let smoothing = Smoothing::new(options, vocab_size);
    let smoothed = smoothing.spread > 0.0;
    // The sums of one softmax's smoothing say nothing of a mixture's; its sweeps start from logits.
    pass.call.smoothed = false;
    pass.call.keeps_logits = smoothed;
    let mut joint = ComponentFactors::new(components, stride(pass.call.plan.chunk));
    let (mut sums, mut shares) = (Vec::with_capacity(components), Vec::with_capacity(components));
    for range in pass.chunks(members.len()) {
        let rows = &members[range];
        pass.chunk.gather(&linear, &of_rows, rows);
        pass.sweep_sums(rows.len());
        if smoothed {
            joint.start(rows.len());
            for (at, row) in rows.iter().enumerate() {
                let (sums, prior) = (pass.sums(at), log_prior[*row].to_f64());
                joint.factor[at] = T::from_f64(prior.exp() / sums.sum);
                joint.log[at] = prior - sums.log_normaliser();
                pass.chunk.max[at] = T::from_f64(sums.max);
            }
            pass.on_spans(Order::Falling, |call, worker, job, chunk| {
                call.share_sums(worker, job, chunk, &joint, rows.len());
            });
        }
        for first in (0..rows.len()).step_by(components) {
            let (token, class) = (rows[first] / components, pass.chunk.targets[first]);
            let (group, priors) = (first..first + components, &log_prior[rows[first]..][..components]);
            sums.clear();
            sums.extend(group.map(|at| pass.sums(at)));
            shares.clear();
            shares.extend(sums.iter().zip(priors).map(|(row, prior)| prior.to_f64() + row.target_log_prob()));
            let class_weight = smoothing.kept * options.target_weight(token, class);
            let log_prob = share_out(&mut shares);
            // What weighs nothing costs nothing, a target of probability zero too.
            loss[token] = if class_weight > 0.0 { -class_weight * log_prob } else { 0.0 };
            if smoothed {
                let of_all = smoothed_mixture::log_prob_sum(&pass.jobs, first / components);
                loss[token] -= smoothing.spread * of_all;
            }
            let factor = upstream.of(token);
            for (k, (row, share)) in sums.iter().zip(&shares).enumerate() {
                let of_target = class_weight * share;
                let mut of_all = of_target;
                if smoothed {
                    of_all += smoothing.spread * smoothed_mixture::share_sum(&pass.jobs, first + k);
                }
                if let Some(d_log_prior) = &mut d_log_prior {
                    d_log_prior[rows[first] + k] = T::from_f64(-factor * of_all);
                }
                let scale = factor / options.temperature;
                let chunk = &mut *pass.chunk;
                chunk.max[first + k] = T::from_f64(row.max);
                chunk.mass[first + k] = scale * of_all / row.sum;
                chunk.spread[first + k] = T::from_f64(scale * smoothing.spread);
                chunk.target[first + k] = scale * of_target * options.slope(row.target_logit, class);
            }
        }
        if !needs_sweep {
            continue;
        }
        let needs = pass.needs();
        let joint = smoothed.then_some(&joint);
        pass.on_spans(Order::Falling, |call, worker, job, chunk| {
            call.gradients(worker, job, chunk, rows.len(), needs, joint);
        });
        pass.add_gradients(rows.iter().copied());
    }
    pass.finish();
    Ok(loss)
}

/// Split of a token's loss: `kept w_y` of it on its target, `spread w_c` on every class.
struct Smoothing {
    kept: f64,
    spread: f64,
}

impl Smoothing {
    fn new<T>(options: &Options<'_, T>, vocab_size: usize) -> Self {
        let smoothing = options.label_smoothing;
        let classes = options.smoothed_classes.unwrap_or(vocab_size);
        Self { kept: 1.0 - smoothing, spread: smoothing / classes as f64 }
    }
}

/// From `log pi_k + log p_k(y)` to `r_k`, in place; gives `log p(y)`. A target that no component
/// gives any probability is shared evenly, so that the gradients stay finite where the loss does
/// not.
fn share_out(joint: &mut [f64]) -> f64 {
    let log_prob = log_sum_exp(joint.iter().copied());
    let even = 1.0 / joint.len() as f64;
    for share in joint {
        *share = if log_prob == f64::NEG_INFINITY { even } else { (*share - log_prob).exp() };
    }
    log_prob
}

impl<T: Element> Mixture<'_, T> {
    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        self.linear.check(op)?;
        let (rows, components) = (self.linear.rows(), self.components);
        if components == 0 || !rows.is_multiple_of(components) {
            let expected = format!("at least 1 and a divisor of the {rows} rows of hidden");
            return Err(KernelError::argument(op, "components", components, expected));
        }
        KernelError::check_length(op, "log_prior", self.log_prior.len(), rows, "N rows of K")
    }
}

/// Refuses what is of one softmax.
fn check_options<T>(op: &'static str, options: &Options<'_, T>) -> Result<()> {
    let refused = [("z_loss", options.z_loss), ("focal_gamma", options.focal_gamma)];
    if let Some(filter) = options.filter {
        return Err(KernelError::argument(op, "filter", filter.eps, "none for a mixture"));
    }
    match refused.into_iter().find(|(_, value)| *value != 0.0) {
        Some((name, value)) => Err(KernelError::argument(op, name, value, "none for a mixture")),
        None => Ok(()),
    }
}
