//! Log-probabilities of words in classes: one softmax over the classes, one over the words of the
//! target's class, with the gradients of the words of those classes alone.
//!
//! `log p(y_i) = log softmax(A h_i + a)_c + log softmax(B_c h_i + b_c)_{y_i}` with `c` the class of
//! `y_i`, where classes are ranges of consecutive words and `B_c` and `b_c` are the rows of `B` and
//! `b` of the words of class `c` (Goodman 2001, "Classes for fast maximum entropy training", arXiv
//! cs/0108006).
//!
//! [`Groups::new`] sorts the rows by class. Both softmaxes are then the exact linear cross-entropy
//! of [`crate::linear_ce`]: over all classes for the rows of a thread, and over the rows of `B` of
//! one class for the rows of that class. Threads own groups; where one group is most of the work,
//! all threads share each group.
//!
//! * [`log_prob`]: log-probabilities alone.
//! * [`every_word`]: the sum over all words, weighed, with gradients: label smoothing.
//! * [`log_prob_and_gradients`]: also the gradients of their weighted sum, of the words as rows:
//!   those of [`Groups::words`] only.

mod every;
mod groups;
mod layer;
mod work;
mod workspace;

pub use every::every_word;
pub use groups::Groups;
pub use layer::{Gradients, TwoLevel};
pub use workspace::Workspace;

use crate::buffer::sized;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::Upstream;
use crate::{parts, pool};
use work::Job;

/// `log p` of each row's target, `[N]`. Cost: `2 N D (C + S)` operations, where `S` is the mean
/// size of the targets' classes.
///
/// # Errors
/// Slices that do not fit, or not of as many rows, classes and words as the groups.
///
/// ```
/// use lexmax_kernels::two_level::{Groups, TwoLevel, Workspace, log_prob};
///
/// let groups = Groups::new(&[0, 2, 5], &[3])?; // two words, then three
/// let layer = TwoLevel {
///     hidden: &[1.0_f32, 1.0], class_weight: &[0.0; 4], class_bias: None, weight: &[0.0; 10], bias: None, hidden_size: 2,
/// };
/// let log_p = log_prob(layer, &groups, &mut Workspace::new(1))?;
/// assert!((log_p[0] - (1.0_f64 / 6.0).ln()).abs() < 1e-6);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn log_prob<T: Element>(
    layer: TwoLevel<'_, T>,
    groups: &Groups,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    run("two_level.log_prob", layer, groups, None, Gradients::default(), workspace)
}

/// `log p` of each row's target and the gradients of `sum_i upstream_i log p_i`. Cost: three times
/// that of [`log_prob`].
///
/// # Errors
/// As [`log_prob`], and gradients that do not fit.
///
/// ```
/// use lexmax_kernels::linear_ce::Upstream;
/// use lexmax_kernels::two_level::{Gradients, Groups, TwoLevel, Workspace, log_prob_and_gradients};
///
/// let groups = Groups::new(&[0, 2, 5], &[3])?;
/// let layer = TwoLevel {
///     hidden: &[1.0_f32, 3.0], class_weight: &[0.0; 4], class_bias: None, weight: &[0.0; 10], bias: None, hidden_size: 2,
/// };
/// let mut d_weight = [9.0; 6]; // of the words 2, 3 and 4
/// let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
/// log_prob_and_gradients(layer, &groups, Upstream::Same(1.0), wanted, &mut Workspace::new(1))?;
/// assert!((d_weight[3] - 2.0).abs() < 1e-6); // (1 - 1/3) h
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn log_prob_and_gradients<T: Element>(
    layer: TwoLevel<'_, T>,
    groups: &Groups,
    upstream: Upstream<'_, T>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    run("two_level.log_prob_and_gradients", layer, groups, Some(upstream), gradients, workspace)
}

fn run<T: Element>(
    op: &'static str,
    layer: TwoLevel<'_, T>,
    groups: &Groups,
    upstream: Option<Upstream<'_, T>>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    check(op, layer, groups, upstream, &gradients)?;
    let size = layer.hidden_size;
    let Gradients { hidden, class_weight, class_bias, weight, bias } = gradients;
    if groups.rows() == 0 {
        for out in [class_weight, class_bias].into_iter().flatten() {
            out.fill(T::default());
        }
        return Ok(Vec::new());
    }
    let positions = || groups.order.iter().map(|&row| row as usize);
    workspace.hidden.clear();
    workspace.hidden.reserve_exact(layer.hidden.len());
    for row in positions() {
        workspace.hidden.extend_from_slice(&layer.hidden[row * size..(row + 1) * size]);
    }
    // The sweeps' losses are -log p, so the factors of these are the other way round.
    workspace.upstream.clear();
    workspace.upstream.reserve_exact(groups.rows());
    let same = match upstream {
        None => None,
        Some(Upstream::Same(factor)) => Some(Upstream::Same(-factor)),
        Some(Upstream::Rows(factors)) => {
            let of_rows = positions().map(|row| T::default() - factors[row]);
            workspace.upstream.extend(of_rows);
            Some(Upstream::Rows(&[][..]))
        }
    };
    let shares = groups.shares(workspace.threads);
    workspace.fit(shares.len());
    let (class_weight_there, class_bias_there) = (class_weight.is_some(), class_bias.is_some());
    let mut by_position = vec![0.0; groups.rows()];
    {
        let mut log_probs = &mut by_position[..];
        let mut d_hidden = hidden.is_some().then(|| sized(&mut workspace.d_hidden, layer.hidden.len()));
        let mut hidden_rows = hidden.map(|out| parts::in_order(out, size, positions()));
        let (mut weight, mut bias) = (weight, bias);
        let (mut class_weight, mut class_bias) = (class_weight, class_bias);
        let mut jobs = Vec::with_capacity(shares.len());
        for (worker, share) in workspace.workers.iter_mut().zip(shares) {
            let groups_of = &groups.groups[share];
            worker.fit(if d_hidden.is_some() { groups_of } else { &[] }, size);
            let (Some(first), Some(last)) = (groups_of.first(), groups_of.last()) else { continue };
            let positions = first.positions.start..last.positions.end;
            let words = last.values.end - first.values.start;
            let work::Sums { sweeps, d_group, class_weight, class_bias } = work::Sums::of(
                worker,
                (class_weight_there, class_weight.take()),
                (class_bias_there, class_bias.take()),
                layer.class_weight.len(),
                groups.class_count(),
            );
            jobs.push(Job {
                layer,
                all: groups,
                groups: groups_of,
                hidden: &workspace.hidden[positions.start * size..positions.end * size],
                upstream: match same {
                    Some(Upstream::Rows(_)) => Some(Upstream::Rows(&workspace.upstream[positions.clone()])),
                    other => other,
                },
                log_probs: parts::split(&mut log_probs, positions.len()),
                d_hidden: d_hidden.as_mut().map(|rest| parts::split(rest, positions.len() * size)),
                hidden_rows: hidden_rows.as_mut().map(|rows| rows.by_ref().take(positions.len()).collect()),
                d_weight: weight.as_mut().map(|rest| parts::split(rest, words * size)),
                d_bias: bias.as_mut().map(|rest| parts::split(rest, words)),
                d_class_weight: class_weight,
                d_class_bias: class_bias,
                d_group,
                sweeps,
                positions,
                result: Ok(()),
            });
        }
        pool::on_each(&mut jobs, Job::run);
        work::finish(jobs)?;
    }
    let mut log_probs = vec![0.0; groups.rows()];
    for (row, log_prob) in positions().zip(by_position) {
        log_probs[row] = log_prob;
    }
    Ok(log_probs)
}

fn check<T: Element>(
    op: &'static str,
    layer: TwoLevel<'_, T>,
    groups: &Groups,
    upstream: Option<Upstream<'_, T>>,
    gradients: &Gradients<'_, T>,
) -> Result<()> {
    let (rows, size) = (groups.rows(), layer.hidden_size);
    let (classes, words, vocab) = (groups.class_count(), groups.word_count(), groups.vocab_size());
    if size == 0 {
        return Err(KernelError::argument(op, "hidden_size", size, "at least 1"));
    }
    let fits = |what, given: Option<usize>, expected, why| match given {
        Some(given) => KernelError::check_length(op, what, given, expected, why),
        None => Ok(()),
    };
    fits("hidden", Some(layer.hidden.len()), rows * size, "one row for each target")?;
    fits("class_weight", Some(layer.class_weight.len()), classes * size, "one row for each class")?;
    fits("class_bias", layer.class_bias.map(<[T]>::len), classes, "one for each class")?;
    fits("weight", Some(layer.weight.len()), vocab * size, "one row for each word")?;
    fits("bias", layer.bias.map(<[T]>::len), vocab, "one for each word")?;
    if let Some(Upstream::Rows(factors)) = upstream {
        fits("upstream", Some(factors.len()), rows, "one for each row")?;
    }
    let len = |out: &Option<&mut [T]>| out.as_ref().map(|out| out.len());
    fits("gradient of hidden", len(&gradients.hidden), rows * size, "N rows of D")?;
    fits("gradient of class_weight", len(&gradients.class_weight), classes * size, "C rows of D")?;
    fits("gradient of class_bias", len(&gradients.class_bias), classes, "one for each class")?;
    fits("gradient of weight", len(&gradients.weight), words * size, "one row for each word of the classes")?;
    fits("gradient of bias", len(&gradients.bias), words, "one for each word of the classes")
}
