//! Every word of every class at once: what label smoothing comes to.
//!
//! `sum_w c_w log p(w) = sum_g C_g log p(g) + sum_g sum_(w in g) c_w log p(w |
//! g)`, where `C_g` is the weight of class `g` with its words: a softmax over the classes and one
//! over the words of each, all for all rows. Each is the smoothing of [`crate::linear_ce`] alone,
//! with the target's part weighing nothing.

use std::ops::Range;

use super::groups::one_by_one;
use super::layer::{Gradients, TwoLevel};
use super::workspace::Workspace;
use crate::buffer::sized;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::{self, Linear, Options, Upstream, loss, loss_and_gradients};
use crate::{parts, pool};

/// Any smoothing below one: what comes out is divided by it.
const SMOOTHING: f64 = 0.5;

/// `s_i = sum_w c_w log p_i(w)`, `[N]`, and the gradients of `sum_i upstream_i s_i`; those of the
/// words are of all, `[V, D]` and `[V]`. Classes start at the words `starts` (`C + 1` numbers that
/// rise from 0 to `V`); without weights `c` every word weighs one.
///
/// Cost: `6 N D (C + V)` operations, `2 N D (C + V)` without `upstream`, where no gradient is made.
/// Threads share the classes. Memory: the workspace, and twice the hidden states for each thread.
///
/// # Errors
/// Slices that do not fit; starts that do not rise from zero; a weight that is negative or not
/// finite; gradients without `upstream`.
///
/// ```
/// use lexmax_kernels::linear_ce::Upstream;
/// use lexmax_kernels::two_level::{Gradients, TwoLevel, Workspace, every_word};
///
/// let layer = TwoLevel {
///     hidden: &[1.0_f32, 1.0], class_weight: &[0.0; 4], class_bias: None, weight: &[0.0; 10], bias: None, hidden_size: 2,
/// };
/// // Two words of probability a quarter, three of a sixth.
/// let sums = every_word(layer, &[0, 2, 5], None, None, Gradients::default(), &mut Workspace::new(1))?;
/// assert!((sums[0] - (2.0 * 0.25_f64.ln() - 3.0 * 6_f64.ln())).abs() < 1e-5);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn every_word<T: Element>(
    layer: TwoLevel<'_, T>,
    starts: &[i64],
    weights: Option<&[T]>,
    upstream: Option<Upstream<'_, T>>,
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    let op = "two_level.every_word";
    let classes = words_of(op, starts)?;
    let size = layer.hidden_size;
    if size == 0 || !layer.hidden.len().is_multiple_of(size) {
        return Err(KernelError::argument(op, "hidden_size", size, "a divisor of the length of hidden"));
    }
    let (rows, vocab) = (layer.hidden.len() / size, classes.last().map_or(0, |words| words.end));
    let Gradients { hidden: mut d_hidden, class_weight, class_bias, mut weight, mut bias } = gradients;
    let check = |what, given: Option<usize>, expected, why| match given {
        Some(given) => KernelError::check_length(op, what, given, expected, why),
        None => Ok(()),
    };
    check("class_weight", Some(layer.class_weight.len()), classes.len() * size, "one row for each class")?;
    check("weight", Some(layer.weight.len()), vocab * size, "one row for each word")?;
    check("bias", layer.bias.map(<[T]>::len), vocab, "one for each word")?;
    check("class_bias", layer.class_bias.map(<[T]>::len), classes.len(), "one for each class")?;
    check("word weights", weights.map(<[T]>::len), vocab, "one for each word")?;
    let len = |out: &Option<&mut [T]>| out.as_ref().map(|out| out.len());
    check("gradient of hidden", len(&d_hidden), rows * size, "N rows of D")?;
    check("gradient of weight", len(&weight), vocab * size, "one row for each word")?;
    check("gradient of bias", len(&bias), vocab, "one for each word")?;
    check("gradient of class_weight", len(&class_weight), classes.len() * size, "one row for each class")?;
    check("gradient of class_bias", len(&class_bias), classes.len(), "one for each class")?;
    let usable = |weight: &f64| (0.0..f64::INFINITY).contains(weight);
    let given = weights.unwrap_or_default().iter().map(|weight| weight.to_f64());
    if let Some(bad) = given.into_iter().find(|weight| !usable(weight)) {
        return Err(KernelError::argument(op, "word weights", bad, "finite weights from zero up"));
    }
    let wanted = [&d_hidden, &class_weight, &class_bias, &weight, &bias];
    if upstream.is_none() && wanted.iter().any(|gradient| gradient.is_some()) {
        return Err(KernelError::argument(op, "upstream", "none", "one where gradients are wanted"));
    }

    // A softmax's loss is `-e/V` times what is looked for.
    let factor = -(vocab as f64) / SMOOTHING;
    let scaled: Vec<T> = match upstream {
        Some(Upstream::Rows(factors)) => {
            check("upstream", Some(factors.len()), rows, "one for each row")?;
            factors.iter().map(|upstream| T::from_f64(factor * upstream.to_f64())).collect()
        }
        _ => Vec::new(),
    };
    let upstream = upstream.map(|upstream| match upstream {
        Upstream::Same(upstream) => Upstream::Same(factor * upstream),
        Upstream::Rows(_) => Upstream::Rows(&scaled[..]),
    });
    let of_class = |words: &Range<usize>| match weights {
        Some(weights) => weights[words.clone()].iter().map(|weight| weight.to_f64()).sum(),
        None => words.len() as f64,
    };
    let class_weights: Vec<T> = classes.iter().map(|words| T::from_f64(of_class(words))).collect();
    let call = Call {
        layer,
        weights,
        class_weights: &class_weights,
        targets: &vec![0; rows],
        nothing: &vec![0.0; rows],
        upstream,
        factor,
        vocab,
        needs_hidden: d_hidden.is_some(),
    };

    let shares = equal_shares(&classes, workspace.threads);
    workspace.fit(shares.len());
    let mut top = Some([class_weight, class_bias]);
    let mut jobs = Vec::with_capacity(shares.len());
    for (worker, classes) in workspace.workers.iter_mut().zip(shares) {
        let words = classes.iter().map(ExactSizeIterator::len).sum::<usize>();
        jobs.push(Job {
            classes,
            top: top.take(),
            d_weight: weight.as_mut().map(|rest| parts::split(rest, words * size)),
            d_bias: bias.as_mut().map(|rest| parts::split(rest, words)),
            sums: vec![0.0; rows],
            d_hidden: vec![T::default(); if call.needs_hidden { rows * size } else { 0 }],
            part: sized(&mut worker.d_group, if call.needs_hidden { rows * size } else { 0 }),
            sweeps: &mut worker.sweeps,
            result: Ok(()),
        });
    }
    pool::on_each(&mut jobs, |job| job.result = job.run(&call));
    let mut sums = vec![0.0; rows];
    if let Some(d_hidden) = &mut d_hidden {
        d_hidden.fill(T::default());
    }
    for job in jobs {
        job.result?;
        sums.iter_mut().zip(&job.sums).for_each(|(sum, part)| *sum += part);
        if let Some(d_hidden) = &mut d_hidden {
            d_hidden.iter_mut().zip(&job.d_hidden).for_each(|(sum, part)| *sum = *sum + *part);
        }
    }
    Ok(sums)
}

/// Arguments of one call, read by all threads.
struct Call<'a, T> {
    layer: TwoLevel<'a, T>,
    weights: Option<&'a [T]>,
    class_weights: &'a [T],
    /// Arbitrary target of each row, which has weight zero.
    targets: &'a [i64],
    nothing: &'a [f64],
    upstream: Option<Upstream<'a, T>>,
    factor: f64,
    vocab: usize,
    needs_hidden: bool,
}

/// One thread: some classes, and for the first one the softmax over the classes as well.
struct Job<'a, 'g, T> {
    classes: &'a [Range<usize>],
    /// Gradients of the class weight and bias.
    top: Option<[Option<&'g mut [T]>; 2]>,
    /// Gradients of the words of these classes.
    d_weight: Option<&'g mut [T]>,
    d_bias: Option<&'g mut [T]>,
    sums: Vec<f64>,
    d_hidden: Vec<T>,
    /// Workspace for one softmax's part of `d_hidden`.
    part: &'a mut [T],
    sweeps: &'a mut linear_ce::Workspace<T>,
    result: Result<()>,
}

impl<T: Element> Job<'_, '_, T> {
    fn run(&mut self, call: &Call<'_, T>) -> Result<()> {
        let size = call.layer.hidden_size;
        if let Some(into) = self.top.take() {
            let (weight, bias) = (call.layer.class_weight, call.layer.class_bias);
            self.softmax(call, weight, bias, Some(call.class_weights), into)?;
        }
        for words in self.classes {
            let weight = &call.layer.weight[words.start * size..words.end * size];
            let bias = call.layer.bias.map(|bias| &bias[words.clone()]);
            let weights = call.weights.map(|weights| &weights[words.clone()]);
            let d_weight = self.d_weight.as_mut().map(|rest| parts::split(rest, words.len() * size));
            let d_bias = self.d_bias.as_mut().map(|rest| parts::split(rest, words.len()));
            self.softmax(call, weight, bias, weights, [d_weight, d_bias])?;
        }
        Ok(())
    }

    fn softmax(
        &mut self,
        call: &Call<'_, T>,
        weight: &[T],
        bias: Option<&[T]>,
        weights: Option<&[T]>,
        [d_weight, d_bias]: [Option<&mut [T]>; 2],
    ) -> Result<()> {
        let linear = Linear { hidden: call.layer.hidden, weight, bias, hidden_size: call.layer.hidden_size };
        let options = Options {
            label_smoothing: SMOOTHING,
            smoothed_classes: Some(call.vocab),
            class_weights: weights,
            row_weights: Some(call.nothing),
            ..Options::default()
        };
        let rows = match call.upstream {
            None => loss(linear, call.targets, &options, self.sweeps)?,
            Some(upstream) => {
                let hidden = call.needs_hidden.then_some(&mut *self.part);
                let wanted =
                    linear_ce::Gradients { hidden, weight: d_weight, bias: d_bias, accumulate: false };
                loss_and_gradients(linear, call.targets, &options, upstream, wanted, self.sweeps)?
            }
        };
        self.sums.iter_mut().zip(rows.loss).for_each(|(sum, loss)| *sum += call.factor * loss);
        if call.upstream.is_some() {
            self.d_hidden.iter_mut().zip(&*self.part).for_each(|(sum, part)| *sum = *sum + *part);
        }
        Ok(())
    }
}

/// The classes in at most so many shares of about as many words each; in one, which all threads
/// work on, where one class has most words.
fn equal_shares(classes: &[Range<usize>], shares: usize) -> Vec<&[Range<usize>]> {
    let vocab = classes.last().map_or(0, |words| words.end);
    let largest = classes.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    if one_by_one(largest, vocab, shares) {
        return vec![classes];
    }
    let mut cut = Vec::with_capacity(shares);
    let mut rest = classes;
    for share in 1..=shares {
        let end = vocab * share / shares;
        let (own, others) = rest.split_at(rest.partition_point(|words| words.end <= end));
        if !own.is_empty() {
            cut.push(own);
        }
        rest = others;
    }
    cut
}

/// The words of each class.
fn words_of(op: &'static str, starts: &[i64]) -> Result<Vec<Range<usize>>> {
    let refused = || {
        let given = format!("{} numbers", starts.len());
        KernelError::argument(op, "starts", given, "C + 1 numbers that rise from 0 to V")
    };
    if starts.len() < 2 || starts[0] != 0 {
        return Err(refused());
    }
    let words = starts.windows(2).map(|pair| match (usize::try_from(pair[0]), usize::try_from(pair[1])) {
        (Ok(start), Ok(end)) if start < end => Ok(start..end),
        _ => Err(refused()),
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::equal_shares;

    #[test]
    fn a_heavy_class_is_shared_by_all_threads() {
        let classes = |sizes: [usize; 3]| {
            let mut start = 0;
            sizes.map(|size| {
                start += size;
                start - size..start
            })
        };
        assert_eq!(equal_shares(&classes([5, 3000, 7]), 2).len(), 1);
        assert_eq!(equal_shares(&classes([50, 60, 70]), 2).len(), 2);
    }
}
