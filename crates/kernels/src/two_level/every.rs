//! Every word of every class at once: what label smoothing comes to.
//!
//! `sum_w c_w log p(w) = sum_g C_g log p(g) + sum_g sum_(w in g) c_w log p(w | g)`, where `C_g` is the weight of class `g` with its words: a
//! softmax over the classes and one over the words of each, all for all rows. Each is the smoothing of [`crate::linear_ce`] alone, with
//! the target's part weighing nothing.

use super::workspace::Workspace;
use super::{Gradients, TwoLevel};
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::{self, Linear, Options, Upstream, loss, loss_and_gradients};

/// Any smoothing below one: what comes out is divided by it.
const SMOOTHING: f64 = 0.5;

/// `s_i = sum_w c_w log p_i(w)`, `[N]`, and the gradients of `sum_i upstream_i s_i`; those of the words are of all, `[V, D]` and `[V]`.
/// Classes start at the words `starts` (`C + 1` numbers that rise from 0 to `V`); without weights `c` every word weighs one.
///
/// Cost: `6 N D (C + V)` operations, `2 N D (C + V)` without `upstream`, where no gradient is made. Memory: the workspace, and twice the
/// hidden states.
///
/// # Errors
/// Slices that do not fit; starts that do not rise from zero.
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
    check("word weights", weights.map(<[T]>::len), vocab, "one for each word")?;
    let len = |out: &Option<&mut [T]>| out.as_ref().map(|out| out.len());
    check("gradient of hidden", len(&d_hidden), rows * size, "N rows of D")?;
    check("gradient of weight", len(&weight), vocab * size, "one row for each word")?;
    check("gradient of bias", len(&bias), vocab, "one for each word")?;

    // A softmax's loss is `-e/V` times what is looked for.
    let factor = -(vocab as f64) / SMOOTHING;
    let scaled: Vec<T> = match upstream {
        Some(Upstream::Rows(factors)) => {
            factors.iter().map(|upstream| T::from_f64(factor * upstream.to_f64())).collect()
        }
        _ => Vec::new(),
    };
    let upstream = upstream.map(|upstream| match upstream {
        Upstream::Same(upstream) => Upstream::Same(factor * upstream),
        Upstream::Rows(_) => Upstream::Rows(&scaled[..]),
    });
    let (targets, nothing) = (vec![0; rows], vec![0.0; rows]);
    let mut sums = vec![0.0; rows];
    workspace.fit(1);
    let Workspace { workers, d_hidden: part, .. } = workspace;
    let Some(worker) = workers.first_mut() else { return Ok(sums) };
    if d_hidden.is_some() {
        part.clear();
        part.resize(rows * size, T::default());
    }
    let mut add = |weight: &[T],
                   bias: Option<&[T]>,
                   weights: Option<&[T]>,
                   into: [Option<&mut [T]>; 2],
                   first: bool|
     -> Result<()> {
        let linear = Linear { hidden: layer.hidden, weight, bias, hidden_size: size };
        let options = Options {
            label_smoothing: SMOOTHING,
            smoothed_classes: Some(vocab),
            class_weights: weights,
            row_weights: Some(&nothing),
            ..Options::default()
        };
        let Some(upstream) = upstream else {
            let rows = loss(linear, &targets, &options, &mut worker.sweeps)?;
            sums.iter_mut().zip(rows.loss).for_each(|(sum, loss)| *sum += factor * loss);
            return Ok(());
        };
        let [d_weight, d_bias] = into;
        let hidden = match &mut d_hidden {
            Some(d_hidden) if first => Some(&mut d_hidden[..]),
            Some(_) => Some(&mut part[..]),
            None => None,
        };
        let wanted = linear_ce::Gradients { hidden, weight: d_weight, bias: d_bias, accumulate: false };
        let rows = loss_and_gradients(linear, &targets, &options, upstream, wanted, &mut worker.sweeps)?;
        sums.iter_mut().zip(rows.loss).for_each(|(sum, loss)| *sum += factor * loss);
        if let Some(d_hidden) = d_hidden.as_mut().filter(|_| !first) {
            d_hidden.iter_mut().zip(part.iter()).for_each(|(sum, part)| *sum = *sum + *part);
        }
        Ok(())
    };

    let of_class = |words: &std::ops::Range<usize>| match weights {
        Some(weights) => weights[words.clone()].iter().map(|weight| weight.to_f64()).sum(),
        None => words.len() as f64,
    };
    let class_weights: Vec<T> = classes.iter().map(|words| T::from_f64(of_class(words))).collect();
    add(layer.class_weight, layer.class_bias, Some(&class_weights), [class_weight, class_bias], true)?;
    for words in classes {
        let numbers = words.start * size..words.end * size;
        let into = [
            weight.as_deref_mut().map(|all| &mut all[numbers.clone()]),
            bias.as_deref_mut().map(|all| &mut all[words.clone()]),
        ];
        let bias = layer.bias.map(|bias| &bias[words.clone()]);
        add(&layer.weight[numbers], bias, weights.map(|weights| &weights[words]), into, false)?;
    }
    Ok(sums)
}

/// The words of each class.
fn words_of(op: &'static str, starts: &[i64]) -> Result<Vec<std::ops::Range<usize>>> {
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
