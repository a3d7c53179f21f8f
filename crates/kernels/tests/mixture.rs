//! The mixture of softmaxes against its definition in probabilities, in f64, over options, plans,
//! threads and levels.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Problem, Rounded, TRANSFORMS, error, transformed_f64};
use lexmax_kernels::linear_ce::mixture::{Mixture, MixtureGradients, loss_and_gradients};
use lexmax_kernels::linear_ce::{self, Gradients, Linear, Options, Upstream, Workspace};
use lexmax_kernels::{Element, KernelError, Level, LogitTransform};
use proptest::prelude::*;

/// Losses, and the gradients of hidden, weight, bias and log prior.
#[derive(Debug, PartialEq)]
struct Answer([Vec<f64>; 5]);

const PARTS: [&str; 5] = ["loss", "hidden", "weight", "bias", "log_prior"];

/// From the definition: all probabilities of all components, what the loss weighs every `-log p(c)`
/// with, `g_c = (1 - e) w_y [c = y] + e/V w_c` (or the row's weight for `w_y`, another number for
/// `V`), and with the shares `r_k(c) = pi_k p_k(c) / p(c)`
/// `dl/dz_kc = (p_k(c) sum_a g_a r_k(a) - g_c r_k(c)) f'(c)`.
fn definition(
    mixture: Mixture<'_, f64>,
    targets: &[i64],
    options: &Options<'_, f64>,
    upstream: &[f64],
) -> Answer {
    let Mixture { linear, log_prior, components } = mixture;
    let (size, vocab) = (linear.hidden_size, linear.vocab_size());
    let mut loss = vec![0.0; targets.len()];
    let mut d_hidden = vec![0.0; linear.hidden.len()];
    let (mut d_weight, mut d_bias) = (vec![0.0; vocab * size], vec![0.0; vocab]);
    let mut d_log_prior = vec![0.0; log_prior.len()];
    for (token, target) in targets.iter().enumerate().filter(|(_, y)| Some(**y) != options.ignore_index) {
        let y = *target as usize;
        let members = token * components..(token + 1) * components;
        let (probs, slopes): (Vec<Vec<f64>>, Vec<Vec<f64>>) = members
            .clone()
            .map(|row| {
                let hidden = &linear.hidden[row * size..(row + 1) * size];
                let logits = linear.weight.chunks(size).enumerate().map(|(c, weight)| {
                    let dot: f64 = weight.iter().zip(hidden).map(|(a, b)| a * b).sum();
                    (dot + linear.bias.map_or(0.0, |bias| bias[c])) / options.temperature
                });
                let (powers, slopes): (Vec<f64>, Vec<f64>) = logits
                    .map(|z| transformed_f64(options.transform, z))
                    .map(|(logit, slope)| (logit.exp(), slope))
                    .unzip();
                let masses = powers.into_iter().enumerate();
                let powers: Vec<f64> = masses
                    .map(|(c, power)| power * options.logit_offset.map_or(1.0, |of| of[c].exp()))
                    .collect();
                let sum: f64 = powers.iter().sum();
                (powers.into_iter().map(|power| power / sum).collect::<Vec<_>>(), slopes)
            })
            .unzip();
        let prob = |c: usize| -> f64 {
            members.clone().zip(&probs).map(|(row, p)| log_prior[row].exp() * p[c]).sum()
        };
        let weight = |c: usize| options.class_weights.map_or(1.0, |weights| weights[c]);
        let smoothing = options.label_smoothing;
        let of_all = smoothing / options.smoothed_classes.unwrap_or(vocab) as f64;
        let of_row = options.row_weights.map_or(weight(y), |weights| weights[token]);
        let weighed: Vec<f64> = (0..vocab)
            .map(|c| {
                let of_target = if c == y { (1.0 - smoothing) * of_row } else { 0.0 };
                of_target + of_all * weight(c)
            })
            .collect();
        let terms = weighed.iter().enumerate().filter(|(_, weighed)| **weighed > 0.0);
        loss[token] = terms.map(|(c, weighed)| -weighed * prob(c).ln()).sum();
        let all: Vec<f64> = (0..vocab).map(prob).collect();
        for (k, row) in members.clone().enumerate() {
            let share = |c: usize| log_prior[row].exp() * probs[k][c] / all[c];
            let shared: f64 = (0..vocab).map(|c| weighed[c] * share(c)).sum();
            d_log_prior[row] = -upstream[token] * shared;
            for c in 0..vocab {
                let d_logit = upstream[token] * (probs[k][c] * shared - weighed[c] * share(c)) * slopes[k][c]
                    / options.temperature;
                d_bias[c] += d_logit;
                for d in 0..size {
                    d_hidden[row * size + d] += d_logit * linear.weight[c * size + d];
                    d_weight[c * size + d] += d_logit * linear.hidden[row * size + d];
                }
            }
        }
    }
    Answer([loss, d_hidden, d_weight, d_bias, d_log_prior])
}

fn fused<T: Element + Into<f64>>(
    mixture: Mixture<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: Upstream<'_, T>,
    workspace: &mut Workspace<T>,
) -> Answer {
    // Rubbish, which must not matter.
    fused_onto(T::LOWEST, false, mixture, targets, options, upstream, workspace)
}

/// With gradients that start from a number; those of weight and bias are added to it or replace it.
fn fused_onto<T: Element + Into<f64>>(
    start: T,
    accumulate: bool,
    mixture: Mixture<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: Upstream<'_, T>,
    workspace: &mut Workspace<T>,
) -> Answer {
    let of = |len: usize| vec![start; len];
    let linear = mixture.linear;
    let (mut hidden, mut weight) = (of(linear.hidden.len()), of(linear.weight.len()));
    let (mut bias, mut log_prior) = (of(linear.vocab_size()), of(mixture.log_prior.len()));
    let wanted = MixtureGradients {
        linear: Gradients {
            hidden: Some(&mut hidden),
            weight: Some(&mut weight),
            bias: Some(&mut bias),
            accumulate,
        },
        log_prior: Some(&mut log_prior),
    };
    let loss = loss_and_gradients(mixture, targets, options, upstream, wanted, workspace).unwrap();
    let wide = |numbers: Vec<T>| numbers.into_iter().map(Into::into).collect();
    Answer([loss, wide(hidden), wide(weight), wide(bias), wide(log_prior)])
}

/// Log priors that sum to one, from a problem's numbers.
fn log_prior(problem: &Problem, components: usize) -> Vec<f64> {
    let number = |i: usize| ((i * 7919 + problem.targets.len()) % 31) as f64 / 8.0;
    let raw: Vec<f64> = (0..problem.targets.len()).map(number).collect();
    let rows = raw.chunks(components).flat_map(|row| {
        let sum = lexmax_kernels::logspace::log_sum_exp(row.iter().copied());
        row.iter().map(move |x| f64::from((x - sum) as f32)).collect::<Vec<_>>()
    });
    rows.collect()
}

fn compare(got: &Answer, exact: &Answer, limit: f64) -> Result<(), TestCaseError> {
    for ((name, got), exact) in PARTS.iter().zip(&got.0).zip(&exact.0) {
        let error = error(got, exact);
        prop_assert!(error <= limit, "{name}: {error:e} > {limit:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn mixture_loss_and_gradients_equal_the_definition(
        seed: u64, tokens in 1..24_usize, components in 1..12_usize, size in 1..40_usize, vocab in 1..1400_usize,
        [bias, weighted, ignore, warm, smoothed] in any::<[bool; 5]>(),
        [by_row, part, offset, accumulate] in any::<[bool; 4]>(), threads in 1..4_usize,
        transform in prop::sample::select(TRANSFORMS.to_vec()),
        memory in prop::sample::select(vec![0_usize, 2 << 20, 4 << 20, 32 << 20]),
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut problem = Problem::new(seed, tokens * components, size, vocab, 2.0);
        let prior = log_prior(&problem, components);
        let mut targets = problem.targets[..tokens].to_vec();
        if !bias {
            problem.bias = None;
        }
        if ignore {
            targets.iter_mut().skip(1).step_by(3).for_each(|target| *target = -100);
        }
        let upstream = &problem.upstream[..tokens];
        let options = Options {
            ignore_index: ignore.then_some(-100),
            label_smoothing: if smoothed { 0.2 } else { 0.0 },
            class_weights: problem.class_weights.as_deref().filter(|_| weighted),
            transform,
            temperature: if warm { 1.5 } else { 1.0 },
            row_weights: by_row.then_some(&problem.row_weights[..tokens]),
            smoothed_classes: part.then_some(vocab + 7),
            logit_offset: problem.offset.as_deref().filter(|_| offset),
            ..Options::default()
        };
        let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components };
        let exact = definition(mixture, &targets, &options, upstream);
        let mut workspace = Workspace::new(threads).with_memory_limit(memory);
        let got = fused(mixture, &targets, &options, Upstream::Rows(upstream), &mut workspace);
        compare(&got, &exact, 1e-11)?;
        if accumulate {
            let upstream = Upstream::Rows(upstream);
            let added = fused_onto(0.25, true, mixture, &targets, &options, upstream, &mut workspace);
            let more = |part: usize, by: f64| exact.0[part].iter().map(|x| x + by).collect::<Vec<_>>();
            let [loss, hidden, log_prior] = [0, 1, 4].map(|part| more(part, 0.0));
            compare(&added, &Answer([loss, hidden, more(2, 0.25), more(3, 0.25), log_prior]), 1e-11)?;
        }

        // Without gradients it is the loss alone.
        let nothing = MixtureGradients::default();
        let loss = loss_and_gradients(mixture, &targets, &options, Upstream::Same(1.0), nothing, &mut workspace);
        prop_assert!(error(&loss.unwrap(), &got.0[0]) <= 1e-12);

        let rounded = Rounded::of(&problem);
        let prior: Vec<f32> = prior.iter().map(|x| *x as f32).collect();
        let options = Options {
            ignore_index: options.ignore_index,
            label_smoothing: options.label_smoothing,
            class_weights: rounded.class_weights.as_deref().filter(|_| weighted),
            transform,
            temperature: options.temperature,
            row_weights: options.row_weights,
            smoothed_classes: options.smoothed_classes,
            logit_offset: rounded.offset.as_deref().filter(|_| offset),
            filter: None,
            z_loss: 0.0,
            focal_gamma: 0.0,
        };
        let mixture = Mixture { linear: rounded.linear(), log_prior: &prior, components };
        let mut workspace = Workspace::new(threads).with_memory_limit(memory).with_level(level);
        let upstream = Upstream::Rows(&rounded.upstream[..tokens]);
        let got = fused(mixture, &targets, &options, upstream, &mut workspace);
        compare(&got, &exact, 64.0 * f64::from(f32::EPSILON))?;
        prop_assert!(workspace.bytes() <= memory.max(4 << 20), "{} bytes", workspace.bytes());
    }
}

#[test]
fn one_component_is_the_plain_softmax() {
    let problem = Problem::new(4, 50, 24, 1500, 2.0);
    let mixture = Mixture { linear: problem.linear(), log_prior: &[0.0; 50], components: 1 };
    let (options, upstream) = (Options::default(), Upstream::Rows(&problem.upstream[..]));
    let got = fused(mixture, &problem.targets, &options, upstream, &mut Workspace::new(2));
    let (mut hidden, mut weight) = (vec![0.0; problem.hidden.len()], vec![0.0; problem.weight.len()]);
    let wanted = Gradients { hidden: Some(&mut hidden), weight: Some(&mut weight), ..Gradients::default() };
    let mut workspace = Workspace::new(2);
    let plain = linear_ce::loss_and_gradients(
        problem.linear(),
        &problem.targets,
        &options,
        upstream,
        wanted,
        &mut workspace,
    );
    assert!(error(&got.0[0], &plain.unwrap().loss) <= 1e-13);
    assert!(error(&got.0[1], &hidden) <= 1e-13 && error(&got.0[2], &weight) <= 1e-13);
}

/// Nothing to lose and nothing to learn.
#[test]
fn one_class_is_certain() {
    let problem = Problem::new(5, 6, 7, 1, 2.0);
    let prior = log_prior(&problem, 3);
    let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components: 3 };
    for label_smoothing in [0.0, 0.2] {
        let options =
            Options { label_smoothing, transform: LogitTransform::SoftCap(4.0), ..Options::default() };
        let got = fused(mixture, &[0; 2], &options, Upstream::Same(1.0), &mut Workspace::new(1));
        // The priors are rounded, so they sum to one by f32's measure.
        assert!(got.0[..4].iter().flatten().all(|x| x.abs() < 1e-6), "{got:?}");
        assert!(got.0[4].chunks(3).all(|shares| (shares.iter().sum::<f64>() + 1.0).abs() < 1e-12));
    }
}

#[test]
fn the_same_bits_at_every_run() {
    let problem = Problem::new(3, 30 * 7, 64, 2100, 2.0);
    let rounded = Rounded::of(&problem);
    let prior: Vec<f32> = log_prior(&problem, 7).iter().map(|x| *x as f32).collect();
    let mixture = Mixture { linear: rounded.linear(), log_prior: &prior, components: 7 };
    for threads in [1, 2, 3] {
        let run = |workspace: &mut Workspace<f32>| {
            fused(mixture, &problem.targets[..30], &Options::default(), Upstream::Same(0.01), workspace)
        };
        let new = || Workspace::new(threads).with_memory_limit(6 << 20);
        let mut used = new();
        let first = run(&mut used);
        assert_eq!(first, run(&mut used), "a used workspace");
        assert_eq!(first, run(&mut new()));
    }
}

#[test]
fn far_apart_components_keep_their_digits() {
    // Logits of hundreds: p(y) of most components is zero in f64, and their logarithms are not.
    let (tokens, components) = (9, 5);
    let problem = Problem::new(7, tokens * components, 8, 700, 300.0);
    let prior = log_prior(&problem, components);
    let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components };
    let targets = &problem.targets[..tokens];
    let (options, mut workspace) = (Options::default(), Workspace::new(2));
    let got = fused(mixture, targets, &options, Upstream::Same(1.0), &mut workspace);
    let of_rows: Vec<i64> = targets.iter().flat_map(|y| vec![*y; components]).collect();
    let rows = linear_ce::loss(problem.linear(), &of_rows, &options, &mut workspace).unwrap();
    for (token, loss) in got.0[0].iter().enumerate() {
        let of_token = token * components..(token + 1) * components;
        let joint = of_token.clone().map(|row| prior[row] + rows.target_log_prob[row]);
        let exact = -lexmax_kernels::logspace::log_sum_exp(joint);
        assert!((loss - exact).abs() <= 1e-12 * exact && exact > 0.0);
        // The shares of p(y) are the components' gradients, and sum to one.
        assert!((got.0[4][of_token].iter().sum::<f64>() + 1.0).abs() <= 1e-12);
    }
    assert!(got.0[0].iter().any(|loss| *loss > 750.0), "no loss beyond the range of exp");
    assert!(got.0[1].iter().chain(&got.0[2]).all(|x| x.is_finite()));
}

#[test]
fn impossible_target_costs_infinity_with_finite_gradients() {
    let mut problem = Problem::new(6, 6, 8, 900, 1.0);
    problem.bias.as_mut().unwrap()[3] = f64::NEG_INFINITY;
    let prior = log_prior(&problem, 3);
    let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components: 3 };
    let got = fused(mixture, &[3, 4], &Options::default(), Upstream::Same(1.0), &mut Workspace::new(1));
    assert!(got.0[0][0] == f64::INFINITY && got.0[0][1].is_finite());
    assert!(got.0[1..].iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn smoothing_looks_at_classes_far_below_the_range_of_exp() {
    // Logits of hundreds: most classes have a probability that is zero in f32, and in f64 too, and
    // a logarithm that is not.
    let (tokens, components, vocab, smoothing) = (5, 3, 700, 0.1);
    let problem = Problem::new(11, tokens * components, 8, vocab, 300.0);
    let prior = log_prior(&problem, components);
    let targets = &problem.targets[..tokens];
    let plain = Options::default();
    let log_prob = |row: usize, c: usize| {
        let linear = Linear { hidden: &problem.hidden[row * 8..(row + 1) * 8], ..problem.linear() };
        let row = linear_ce::loss(linear, &[c as i64], &plain, &mut Workspace::new(1)).unwrap();
        row.target_log_prob[0]
    };
    let mut exact = vec![0.0; tokens];
    for (token, loss) in exact.iter_mut().enumerate() {
        let members = token * components..(token + 1) * components;
        for c in 0..vocab {
            let joint = members.clone().map(|row| prior[row] + log_prob(row, c));
            let of_target = if c as i64 == targets[token] { 1.0 - smoothing } else { 0.0 };
            *loss -= (of_target + smoothing / vocab as f64) * lexmax_kernels::logspace::log_sum_exp(joint);
        }
    }
    let options = Options { label_smoothing: smoothing, ..Options::default() };
    let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components };
    let got = fused(mixture, targets, &options, Upstream::Same(1.0), &mut Workspace::new(2));
    assert!(error(&got.0[0], &exact) <= 1e-12);
    let rounded = Rounded::of(&problem);
    let prior: Vec<f32> = prior.iter().map(|x| *x as f32).collect();
    let mixture = Mixture { linear: rounded.linear(), log_prior: &prior, components };
    let options = Options { label_smoothing: smoothing, ..Options::default() };
    let single = fused(mixture, targets, &options, Upstream::Same(1.0), &mut Workspace::new(2));
    assert!(error(&single.0[0], &exact) <= 1e-5);
    for token in 0..tokens {
        // The shares of a class sum to one, so those of all classes do, weighed by what the loss
        // weighs them with.
        let of_token = &got.0[4][token * components..(token + 1) * components];
        assert!((of_token.iter().sum::<f64>() + 1.0).abs() <= 1e-12);
    }
    for (one, other) in single.0[1..].iter().zip(&got.0[1..]) {
        assert!(error(one, other) <= 1e-3 && other.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn no_token_that_counts_gives_zeros() {
    let problem = Problem::new(8, 4, 3, 10, 1.0);
    let options = Options { ignore_index: Some(-1), ..Options::default() };
    let mixture = Mixture { linear: problem.linear(), log_prior: &[-1.0; 4], components: 2 };
    let got = fused(mixture, &[-1; 2], &options, Upstream::Same(1.0), &mut Workspace::new(1));
    assert!(got.0.iter().flatten().all(|x| *x == 0.0), "{got:?}");
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let problem = Problem::new(9, 6, 3, 10, 1.0);
    let (plain, prior) = (Options::default(), [-1.0; 6]);
    let fails = |linear: Linear<'_, f64>,
                 components: usize,
                 prior: &[f64],
                 targets: &[i64],
                 options: &Options<'_, f64>| {
        let mixture = Mixture { linear, log_prior: prior, components };
        let wanted = MixtureGradients::default();
        loss_and_gradients(mixture, targets, options, Upstream::Same(1.0), wanted, &mut Workspace::new(1))
            .unwrap_err()
            .to_string()
    };
    let linear = problem.linear();
    assert!(fails(linear, 4, &prior, &[0], &plain).contains("divisor of the 6 rows"));
    assert!(fails(linear, 0, &prior, &[0], &plain).contains("components = 0"));
    assert!(fails(linear, 3, &prior[1..], &[0; 2], &plain).contains("log_prior has 5 numbers, expected 6"));
    assert!(fails(linear, 3, &prior, &[0; 3], &plain).contains("targets has 3"));
    assert!(fails(linear, 3, &prior, &[0, 10], &plain).contains("target 10 in row 1"));
    for options in [Options { z_loss: 0.1, ..plain }, Options { focal_gamma: 1.0, ..plain }] {
        assert!(fails(linear, 3, &prior, &[0; 2], &options).contains("none for a mixture"), "{options:?}");
    }
    let mut short = [0.0; 5];
    let wanted = MixtureGradients { log_prior: Some(&mut short), ..MixtureGradients::default() };
    let mixture = Mixture { linear, log_prior: &prior, components: 3 };
    let refused =
        loss_and_gradients(mixture, &[0; 2], &plain, Upstream::Same(1.0), wanted, &mut Workspace::new(1));
    assert!(matches!(refused, Err(KernelError::Length { what: "gradient of log_prior", given: 5, .. })));
}
