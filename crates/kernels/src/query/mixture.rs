//! Most probable classes of a mixture of softmaxes, by bounds: the threshold algorithm of Fagin,
//! Lotem and Naor ("Optimal aggregation algorithms for middleware", 2001).
//!
//! One sweep gives every component's best `M` classes. A class that is in none of these lists has
//! at most the probability of a class that comes last in all of them, `sum_k pi_k p_k(last)`; the
//! classes that are in some list are scored exactly, by `K` dot products each. Where the `k`-th
//! best of them is above the bound, no other class can be among the `k` best.

use super::top_k;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::Workspace;
use crate::linear_ce::mixture::Mixture;
use crate::logspace::log_sum_exp;
use crate::pool;
use crate::sampled::rows::Dots;
use crate::simd::{Level, dispatch};
use crate::transform::LogitTransform;

/// Classes of each component that are looked at, for each class that is asked for.
const DEPTH: usize = 4;
/// Least classes of each component that are looked at: a longer list costs little beside the sweep,
/// and lowers the bound.
const LEAST_DEPTH: usize = 64;
/// Entries of the components' lists that are held at once, 16 bytes each.
const ENTRIES: usize = 1 << 20;

/// Most probable classes found for each token, and whether they are certainly the best.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MixtureTopK {
    /// Log-probabilities, `[N, k]`, largest first; of equal ones the smaller id first.
    pub log_probs: Vec<f64>,
    /// Class ids, `[N, k]`.
    pub ids: Vec<i64>,
    /// Whether these are the `k` most probable of all classes, `[N]`: whether the bound holds by
    /// more than rounding.
    pub certain: Vec<bool>,
}

/// The `k` most probable classes of each token where bounds decide, else the best that were found,
/// and which of both holds.
///
/// Cost: `2 N K D V` operations, and at most `2 N K^2 D M` for the candidates, `M` 64 or `4 k`.
/// Memory: the workspace, and 16 MiB for the components' lists. A flat mixture of components that
/// disagree has a high bound, and nothing to prune by; one that was trained shares the class weight
/// between components that mostly agree.
///
/// # Errors
/// Slices that do not fit, `k` outside `1..=V`.
///
/// ```
/// use lexmax_kernels::linear_ce::mixture::Mixture;
/// use lexmax_kernels::linear_ce::{Linear, Workspace};
/// use lexmax_kernels::query::mixture_top_k;
///
/// // Two components that prefer class 0 and class 2; the second has most of the weight.
/// let linear = Linear { hidden: &[-2.0_f32, 2.0], weight: &[-1.0, 0.0, 1.0], bias: None, hidden_size: 1 };
/// let mixture = Mixture { linear, log_prior: &[0.25_f32.ln(), 0.75_f32.ln()], components: 2 };
/// let best = mixture_top_k(mixture, 2, &mut Workspace::new(1))?;
/// assert_eq!((best.ids, best.certain), (vec![2, 0], vec![true]));
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn mixture_top_k<T: Element>(
    mixture: Mixture<'_, T>,
    k: usize,
    workspace: &mut Workspace<T>,
) -> Result<MixtureTopK> {
    let op = "query.mixture_top_k";
    mixture.check(op)?;
    let Mixture { linear, log_prior, components } = mixture;
    let (vocab_size, size) = (linear.vocab_size(), linear.hidden_size);
    if !(1..=vocab_size).contains(&k) {
        return Err(KernelError::argument(op, "k", k, format!("1 <= k <= {vocab_size}")));
    }
    if u32::try_from(vocab_size).is_err() {
        return Err(KernelError::argument(op, "classes", vocab_size, "a number of 32 bits"));
    }
    let depth = (DEPTH * k).max(LEAST_DEPTH).min(vocab_size);
    let together = (ENTRIES / (components * depth)).max(1) * components;
    let mut out = MixtureTopK::default();
    for (hidden, log_prior) in linear.hidden.chunks(together * size).zip(log_prior.chunks(together)) {
        let part = Mixture { linear: super::Linear { hidden, ..linear }, log_prior, components };
        let lists = top_k(part.linear, depth, 1.0, LogitTransform::Identity, workspace)?;
        let tokens = log_prior.len() / components;
        let share = tokens.div_ceil(workspace.threads).max(1);
        let (level, lists) = (workspace.level, &lists);
        let mut jobs: Vec<Job> = (0..tokens)
            .step_by(share)
            .map(|first| Job { tokens: first..(first + share).min(tokens), found: MixtureTopK::default() })
            .collect();
        pool::on_each(&mut jobs, |job| {
            for token in job.tokens.clone() {
                best_of_token(&part, lists, (token, k, depth), level, &mut job.found);
            }
        });
        for job in jobs {
            out.log_probs.extend(job.found.log_probs);
            out.ids.extend(job.found.ids);
            out.certain.extend(job.found.certain);
        }
    }
    Ok(out)
}

/// Some neighbouring tokens of one thread.
struct Job {
    tokens: std::ops::Range<usize>,
    found: MixtureTopK,
}

/// Scores the classes of a token's lists, and compares the `k`-th best with what the others can
/// reach.
fn best_of_token<T: Element>(
    mixture: &Mixture<'_, T>,
    lists: &super::TopK,
    (token, k, depth): (usize, usize, usize),
    level: Level,
    found: &mut MixtureTopK,
) {
    let Mixture { linear, log_prior, components } = *mixture;
    let size = linear.hidden_size;
    let rows = token * components..(token + 1) * components;
    let mut candidates: Vec<u32> =
        lists.ids[rows.start * depth..rows.end * depth].iter().map(|id| *id as u32).collect();
    candidates.sort_unstable();
    candidates.dedup();

    let count = candidates.len();
    let mut logits = vec![T::default(); components * count];
    for (row, out) in rows.clone().zip(logits.chunks_exact_mut(count)) {
        let with = &linear.hidden[row * size..(row + 1) * size];
        dispatch(level, Dots { table: linear.weight, rows: &candidates, with, out });
    }
    let mut best: Vec<(f64, i64)> = candidates
        .iter()
        .enumerate()
        .map(|(at, class)| {
            let bias = linear.bias.map_or(0.0, |bias| bias[*class as usize].to_f64());
            let joint = rows.clone().enumerate().map(|(component, row)| {
                let logit = logits[component * count + at].to_f64() + bias;
                log_prior[row].to_f64() + logit - lists.log_normaliser[row]
            });
            (log_sum_exp(joint), i64::from(*class))
        })
        .collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    best.truncate(k);

    let last = |row: usize| lists.log_probs[(row + 1) * depth - 1];
    let bound = log_sum_exp(rows.clone().map(|row| log_prior[row].to_f64() + last(row)));
    let sizes =
        rows.map(|row| lists.log_normaliser[row].abs()).chain(logits.iter().map(|z| z.to_f64().abs()));
    let margin = margin::<T>() * sizes.fold(1.0, |most, size| f64::max(most, size / ORDINARY));
    let certain = depth == linear.vocab_size() || best[k - 1].0 > bound + margin;
    found.log_probs.extend(best.iter().map(|(log_prob, _)| log_prob));
    found.ids.extend(best.iter().map(|(_, id)| id));
    found.certain.push(certain);
}

/// Logits up to this size are rounded by less than [`margin`] allows for; it grows with larger
/// ones.
const ORDINARY: f64 = 16.0;

/// Largest difference that rounding alone makes between two log-probabilities, for logits of
/// ordinary size.
fn margin<T>() -> f64 {
    if size_of::<T>() == size_of::<f32>() { 1e-4 } else { 1e-10 }
}
