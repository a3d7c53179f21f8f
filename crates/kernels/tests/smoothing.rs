//! Smoothing over the words of trees against the obvious computation in f64: every two-way choice,
//! and two levels of classes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Problem, Rounded, error};
use lexmax_kernels::linear_ce::choices::value_and_gradients;
use lexmax_kernels::linear_ce::{Gradients, Linear, Upstream, Workspace};
use lexmax_kernels::two_level::{self, TwoLevel, every_word};
use lexmax_kernels::{Element, Level};
use proptest::prelude::*;

/// Values, and the gradients of hidden, weight and bias.
type Answer = [Vec<f64>; 4];

const F32: f64 = 64.0 * f32::EPSILON as f64;

/// `x_it` of all rows and nodes.
fn logits(linear: &Linear<'_, f64>) -> Vec<Vec<f64>> {
    let size = linear.hidden_size;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let of_row = |hidden: &[f64]| {
        let nodes = linear.weight.chunks(size).enumerate();
        nodes.map(|(t, weight)| dot(weight, hidden) + linear.bias.map_or(0.0, |bias| bias[t])).collect()
    };
    linear.hidden.chunks(size).map(of_row).collect()
}

/// From values and the derivative of each by its row's logits to all gradients.
fn through_linear(linear: &Linear<'_, f64>, values: Vec<f64>, slopes: &[Vec<f64>]) -> Answer {
    let size = linear.hidden_size;
    let (mut d_hidden, mut d_weight) = (vec![0.0; linear.hidden.len()], vec![0.0; linear.weight.len()]);
    let mut d_bias = vec![0.0; linear.weight.len() / size];
    for (row, slopes) in slopes.iter().enumerate() {
        for (class, slope) in slopes.iter().enumerate() {
            d_bias[class] += slope;
            for d in 0..size {
                d_hidden[row * size + d] += slope * linear.weight[class * size + d];
                d_weight[class * size + d] += slope * linear.hidden[row * size + d];
            }
        }
    }
    [values, d_hidden, d_weight, d_bias]
}

/// `log sigmoid(x)`, exact at either end.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

fn of_choices(linear: &Linear<'_, f64>, branches: [&[f64]; 2], upstream: &[f64]) -> Answer {
    let [a, b] = branches;
    let (mut values, mut slopes) = (Vec::new(), Vec::new());
    for (row, upstream) in logits(linear).iter().zip(upstream) {
        let weighed = row.iter().zip(a.iter().zip(b));
        values.push(weighed.clone().map(|(x, (a, b))| a * log_sigmoid(*x) + b * log_sigmoid(-x)).sum());
        let slope = |x: f64, a: f64, b: f64| a * log_sigmoid(-x).exp() - b * log_sigmoid(x).exp();
        slopes.push(weighed.map(|(x, (a, b))| upstream * slope(*x, *a, *b)).collect());
    }
    through_linear(linear, values, &slopes)
}

fn sweep<T: Element + Into<f64>>(
    linear: Linear<'_, T>,
    branches: [&[T]; 2],
    upstream: Upstream<'_, T>,
    workspace: &mut Workspace<T>,
) -> Answer {
    // Rubbish, which must not matter.
    let of = |len: usize| vec![T::LOWEST; len];
    let (mut hidden, mut weight) = (of(linear.hidden.len()), of(linear.weight.len()));
    let mut bias = of(branches[0].len());
    let wanted = Gradients {
        hidden: Some(&mut hidden),
        weight: Some(&mut weight),
        bias: Some(&mut bias),
        accumulate: false,
    };
    let values = value_and_gradients(linear, branches, upstream, wanted, workspace).unwrap();
    let wide = |numbers: Vec<T>| numbers.into_iter().map(Into::into).collect();
    [values, wide(hidden), wide(weight), wide(bias)]
}

fn compare(got: &[Vec<f64>], exact: &[Vec<f64>], limit: f64) -> Result<(), TestCaseError> {
    for (part, (got, exact)) in got.iter().zip(exact).enumerate() {
        let error = error(got, exact);
        prop_assert!(error <= limit, "part {part}: {error:e} > {limit:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_choice_counts_with_both_branches(
        seed: u64, rows in 1..60_usize, size in 1..40_usize, nodes in 1..1400_usize, spread in 0.5..40_f64,
        bias: bool, threads in 1..4_usize, memory in prop::sample::select(vec![0_usize, 2 << 20, 32 << 20]),
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut problem = Problem::new(seed, rows, size, nodes, spread);
        if !bias {
            problem.bias = None;
        }
        let a = problem.class_weights.clone().unwrap();
        let b: Vec<f64> = a.iter().rev().map(|a| a * 3.0).collect();
        let exact = of_choices(&problem.linear(), [&a, &b], &problem.upstream);
        let mut workspace = Workspace::new(threads).with_memory_limit(memory);
        let got = sweep(problem.linear(), [&a, &b], Upstream::Rows(&problem.upstream), &mut workspace);
        compare(&got, &exact, 1e-11)?;
        let (nothing, upstream) = (Gradients::default(), Upstream::Same(0.0));
        let alone = value_and_gradients(problem.linear(), [&a, &b], upstream, nothing, &mut workspace).unwrap();
        prop_assert!(error(&alone, &exact[0]) <= 1e-11);
        // Added to what is there.
        let (mut d_weight, mut d_bias) = (vec![0.25; nodes * size], vec![0.25; nodes]);
        let wanted = Gradients {
            hidden: None, weight: Some(&mut d_weight), bias: Some(&mut d_bias), accumulate: true,
        };
        let upstream = Upstream::Rows(&problem.upstream[..]);
        value_and_gradients(problem.linear(), [&a, &b], upstream, wanted, &mut workspace).unwrap();
        for (got, exact) in [(d_weight, &exact[2]), (d_bias, &exact[3])] {
            prop_assert!(error(&got, &exact.iter().map(|x| x + 0.25).collect::<Vec<_>>()) <= 1e-11);
        }

        let rounded = Rounded::of(&problem);
        let round = |numbers: &[f64]| numbers.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (a, b) = (round(&a), round(&b));
        let mut workspace = Workspace::new(threads).with_memory_limit(memory).with_level(level);
        let upstream = Upstream::Rows(&rounded.upstream[..]);
        let got = sweep(rounded.linear(), [&a, &b], upstream, &mut workspace);
        compare(&got, &exact, F32 * spread.max(1.0))?;
    }

    #[test]
    fn every_word_of_every_class_counts(
        seed: u64, rows in 1..40_usize, size in 1..24_usize, mut sizes in prop::collection::vec(1..60_usize, 1..9), heavy in 0..1500_usize,
        [bias, weighted] in any::<[bool; 2]>(), threads in 1..4_usize,
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        // One class of most words now and then, which all threads work on.
        sizes[0] += heavy.saturating_sub(1000);
        let (classes, words) = (sizes.len(), sizes.iter().sum::<usize>());
        let problem = Problem::new(seed, rows, size, classes + words, 2.0);
        let mut starts = vec![0];
        sizes.iter().for_each(|size| starts.push(starts[starts.len() - 1] + *size as i64));
        let weights = problem.class_weights.clone().unwrap().split_off(classes);
        let weight_of = |word: usize| if weighted { weights[word] } else { 1.0 };

        // The two softmaxes side by side in one linear layer: classes first, then words.
        let linear = Linear { bias: problem.bias.as_deref().filter(|_| bias), ..problem.linear() };
        let (mut values, mut slopes) = (Vec::new(), Vec::new());
        for (row, upstream) in logits(&linear).iter().zip(&problem.upstream) {
            let (mut value, mut slope) = (0.0, vec![0.0; classes + words]);
            let mut softmax = |range: std::ops::Range<usize>, weights: &[f64]| {
                let sum = lexmax_kernels::logspace::log_sum_exp(row[range.clone()].iter().copied());
                let total: f64 = weights.iter().sum();
                for (at, weight) in range.zip(weights) {
                    value += weight * (row[at] - sum);
                    slope[at] = upstream * (weight - total * (row[at] - sum).exp());
                }
            };
            let in_class = |class: usize| starts[class] as usize..starts[class + 1] as usize;
            let of_classes: Vec<f64> = (0..classes).map(|class| in_class(class).map(weight_of).sum()).collect();
            softmax(0..classes, &of_classes);
            for class in 0..classes {
                let of_words: Vec<f64> = in_class(class).map(weight_of).collect();
                let range = in_class(class);
                softmax(classes + range.start..classes + range.end, &of_words);
            }
            values.push(value);
            slopes.push(slope);
        }
        let [values, hidden, mut class_weight, mut class_bias] = through_linear(&linear, values, &slopes);
        let (word_weight, word_bias) = (class_weight.split_off(classes * size), class_bias.split_off(classes));
        let exact = [values, hidden, class_weight, class_bias, word_weight, word_bias];

        let mut workspace = two_level::Workspace::new(threads);
        let given = weighted.then_some(&weights[..]);
        let got = two_levels(linear, &starts, given, &problem.upstream, &mut workspace);
        compare(&got, &exact, 1e-11)?;
        let layer = cut(linear, classes);
        let alone = every_word(layer, &starts, given, None, two_level::Gradients::default(), &mut workspace);
        prop_assert!(error(&alone.unwrap(), &exact[0]) <= 1e-11);

        let rounded = Rounded::of(&problem);
        let linear = Linear { bias: rounded.bias.as_deref().filter(|_| bias), ..rounded.linear() };
        let weights: Vec<f32> = weights.iter().map(|x| *x as f32).collect();
        let given = weighted.then_some(&weights[..]);
        let mut workspace = two_level::Workspace::new(threads).with_level(level);
        let got = two_levels(linear, &starts, given, &rounded.upstream, &mut workspace);
        // A slope is the difference of a class's weight and its share of all weights: f32 rounds by
        // the measure of these, however little of them is left.
        let most = |numbers: &[f64]| numbers.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let slope = most(&problem.upstream) * (0..words).map(weight_of).sum::<f64>();
        let [by_weight, by_hidden] = [&problem.weight, &problem.hidden].map(|numbers| slope * most(numbers));
        let scales = [0.0, by_weight, by_hidden, slope, by_hidden, slope];
        for (part, ((got, exact), scale)) in got.iter().zip(&exact).zip(scales).enumerate() {
            let off = got.iter().zip(exact).fold(0.0_f64, |off, (a, b)| off.max((a - b).abs()));
            prop_assert!(off <= F32 * scale.max(most(exact)), "part {part}: off by {off:e}, scale {scale:e}");
        }
    }
}

/// The first rows as classes, the others as words.
fn cut<T: Element>(linear: Linear<'_, T>, classes: usize) -> TwoLevel<'_, T> {
    let (class_weight, weight) = linear.weight.split_at(classes * linear.hidden_size);
    TwoLevel {
        hidden: linear.hidden,
        class_weight,
        class_bias: linear.bias.map(|bias| &bias[..classes]),
        weight,
        bias: linear.bias.map(|bias| &bias[classes..]),
        hidden_size: linear.hidden_size,
    }
}

fn two_levels<T: Element + Into<f64>>(
    linear: Linear<'_, T>,
    starts: &[i64],
    weights: Option<&[T]>,
    upstream: &[T],
    workspace: &mut two_level::Workspace<T>,
) -> [Vec<f64>; 6] {
    let (classes, size) = (starts.len() - 1, linear.hidden_size);
    let words = starts[classes] as usize;
    let of = |len: usize| vec![T::LOWEST; len];
    let (mut hidden, mut class_weight) = (of(linear.hidden.len()), of(classes * size));
    let (mut class_bias, mut weight, mut bias) = (of(classes), of(words * size), of(words));
    let wanted = two_level::Gradients {
        hidden: Some(&mut hidden),
        class_weight: Some(&mut class_weight),
        class_bias: Some(&mut class_bias),
        weight: Some(&mut weight),
        bias: Some(&mut bias),
    };
    let (layer, upstream) = (cut(linear, classes), Some(Upstream::Rows(upstream)));
    let values = every_word(layer, starts, weights, upstream, wanted, workspace).unwrap();
    let wide = |numbers: Vec<T>| numbers.into_iter().map(Into::into).collect();
    [values, wide(hidden), wide(class_weight), wide(class_bias), wide(weight), wide(bias)]
}

#[test]
fn choices_that_are_as_good_as_certain_keep_their_digits() {
    // log sigmoid(100) is -exp(-100), and the slope of the other branch is one.
    let linear = Linear { hidden: &[100.0_f32], weight: &[1.0, -1.0, 0.5], bias: None, hidden_size: 1 };
    let mut workspace = Workspace::new(1);
    let got = sweep(linear, [&[1.0, 0.0, 1.0], &[0.0, 1.0, 0.0]], Upstream::Same(1.0), &mut workspace);
    let exact = -(2.0 * (-100.0_f64).exp() + (-50.0_f64).exp());
    assert!((got[0][0] / exact - 1.0).abs() < 1e-5, "{} for {exact}", got[0][0]);
    let got = sweep(linear, [&[0.0; 3], &[1.0; 3]], Upstream::Same(1.0), &mut workspace);
    assert!((got[0][0] + 150.0).abs() < 1e-4 && got[3][0] == -1.0);
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let problem = Problem::new(9, 6, 3, 10, 1.0);
    let fails = |branches: [&[f64]; 2], upstream: &[f64]| {
        let (upstream, nothing) = (Upstream::Rows(upstream), Gradients::default());
        let mut workspace = Workspace::new(1);
        let refused = value_and_gradients(problem.linear(), branches, upstream, nothing, &mut workspace);
        refused.unwrap_err().to_string()
    };
    assert!(fails([&[1.0; 10], &[1.0; 9]], &[1.0; 6]).contains("branches has 9 numbers, expected 10"));
    assert!(fails([&[1.0; 10]; 2], &[1.0; 5]).contains("upstream has 5"));

    let fails = |starts: &[i64], weights: Option<&[f64]>, upstream: Option<Upstream<'_, f64>>| {
        let (layer, nothing) = (cut(problem.linear(), 2), two_level::Gradients::default());
        let mut workspace = two_level::Workspace::new(1);
        every_word(layer, starts, weights, upstream, nothing, &mut workspace).unwrap_err().to_string()
    };
    assert!(fails(&[0, 3, 3], None, None).contains("rise from 0 to V"));
    assert!(fails(&[1, 3, 8], None, None).contains("rise from 0 to V"));
    assert!(fails(&[0], None, None).contains("rise from 0 to V"));
    assert!(fails(&[0, 8], None, None).contains("class_weight has 6 numbers, expected 3"));
    assert!(fails(&[0, 3, 7], None, None).contains("weight has 24 numbers, expected 21"));
    assert!(fails(&[0, 3, 8], Some(&[1.0; 7]), None).contains("word weights has 7"));
    let upstream = Some(Upstream::Rows(&[1.0; 5][..]));
    assert!(fails(&[0, 3, 8], None, upstream).contains("upstream has 5"));
}
