//! The fused loss and gradients against the obvious computation, over all options, plans, threads
//! and levels.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, Problem, Rounded, TRANSFORMS, error, error_by, fused, naive_f32, naive_f64};
use lexmax_kernels::linear_ce::{
    Gradients, Linear, Options, Upstream, Workspace, gradients, loss, loss_and_gradients,
};
use lexmax_kernels::{KernelError, Level, LogitTransform};
use proptest::prelude::*;

/// Every part of `got` against the truth: at most `limit`, or for f32 a small multiple of what
/// plain f32 makes of it.
fn compare(got: &Answer, exact: &Answer, plain: Option<&Answer>, limit: f64) -> Result<(), TestCaseError> {
    type Part = (&'static str, fn(&Answer) -> &Vec<f64>, f64);
    let [hidden, weight, bias] = exact.magnitudes;
    let parts: [Part; 6] = [
        ("loss", |a| &a.loss, 0.0),
        ("log_normaliser", |a| &a.log_normaliser, 0.0),
        ("target_log_prob", |a| &a.target_log_prob, 0.0),
        ("d_hidden", |a| &a.d_hidden, hidden),
        ("d_weight", |a| &a.d_weight, weight),
        ("d_bias", |a| &a.d_bias, bias),
    ];
    for (name, part, magnitude) in parts {
        let (error_got, allowed) = (
            error_by(magnitude, part(got), part(exact)),
            plain.map_or(limit, |plain| limit + 4.0 * error_by(magnitude, part(plain), part(exact))),
        );
        prop_assert!(error_got <= allowed, "{name}: {error_got:e} > {allowed:e}");
    }
    Ok(())
}

/// Which options are on.
#[derive(Debug, Clone, Copy, Default)]
struct Switches {
    bias: bool,
    smoothing: bool,
    class_weights: bool,
    z_loss: bool,
    focal: bool,
    temperature: bool,
    offset: bool,
    ignore: bool,
    row_weights: bool,
    part: bool,
    transform: LogitTransform,
}

prop_compose! {
    fn switches()(bits in any::<[bool; 10]>(), transform in prop::sample::select(TRANSFORMS.to_vec())) -> Switches {
        let [bias, smoothing, class_weights, z_loss, focal, temperature, offset, ignore, row_weights, part] = bits;
        let focal = focal && !smoothing;
        Switches {
            bias, smoothing, class_weights, z_loss, focal, temperature, offset, ignore, row_weights, part, transform,
        }
    }
}

impl Switches {
    fn options<'a, T>(
        &self,
        class_weights: Option<&'a [T]>,
        row_weights: &'a [f64],
        offset: Option<&'a [T]>,
    ) -> Options<'a, T> {
        Options {
            ignore_index: self.ignore.then_some(-100),
            label_smoothing: if self.smoothing { 0.1 } else { 0.0 },
            class_weights: class_weights.filter(|_| self.class_weights),
            z_loss: if self.z_loss { 0.01 } else { 0.0 },
            focal_gamma: if self.focal { 2.0 } else { 0.0 },
            transform: self.transform,
            temperature: if self.temperature { 1.5 } else { 1.0 },
            logit_offset: offset.filter(|_| self.offset),
            row_weights: self.row_weights.then_some(row_weights),
            smoothed_classes: self.part.then_some(2000),
            filter: None,
        }
    }

    fn apply(&self, problem: &mut Problem) {
        if !self.bias {
            problem.bias = None;
        }
        if self.ignore {
            for (row, target) in problem.targets.iter_mut().enumerate() {
                if row % 3 == 1 {
                    *target = -100;
                    // What an ignored row holds must not matter.
                    problem.hidden[row * problem.size] = f64::NAN;
                }
            }
        }
    }
}

/// Zero hidden states where they are ignored, so that the obvious computation stays defined.
fn cleaned(hidden: &[f64]) -> Vec<f64> {
    hidden.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect()
}

fn equals_the_obvious_computation(
    switches: Switches,
    mut problem: Problem,
    threads: usize,
    memory: usize,
    level: Level,
) -> Result<(), TestCaseError> {
    switches.apply(&mut problem);
    let options =
        switches.options(problem.class_weights.as_deref(), &problem.row_weights, problem.offset.as_deref());
    let hidden = cleaned(&problem.hidden);
    let exact = naive_f64(
        Linear { hidden: &hidden, ..problem.linear() },
        &problem.targets,
        &options,
        &problem.upstream,
    );
    let mut workspace = Workspace::new(threads).with_memory_limit(memory);
    let got = fused(
        problem.linear(),
        &problem.targets,
        &options,
        Upstream::Rows(&problem.upstream),
        &mut workspace,
    );
    compare(&got, &exact, None, 1e-11)?;

    let rounded = Rounded::of(&problem);
    let options =
        switches.options(rounded.class_weights.as_deref(), &problem.row_weights, rounded.offset.as_deref());
    let hidden: Vec<f32> = hidden.iter().map(|x| *x as f32).collect();
    let plain = naive_f32(
        Linear { hidden: &hidden, ..rounded.linear() },
        &problem.targets,
        &options,
        &rounded.upstream,
    );
    let mut workspace = Workspace::new(threads).with_memory_limit(memory).with_level(level);
    let got = fused(
        rounded.linear(),
        &problem.targets,
        &options,
        Upstream::Rows(&rounded.upstream),
        &mut workspace,
    );
    compare(&got, &exact, Some(&plain), 8.0 * f64::from(f32::EPSILON))
}

/// The gradients are zero, as the difference of terms of order one that f32 need not cancel.
#[test]
fn single_class_with_smoothing_has_gradients_within_rounding() {
    let only =
        |smoothing, class_weights| Switches { bias: true, smoothing, class_weights, ..Switches::default() };
    for (seed, level) in [0, 1, 2].into_iter().flat_map(|seed| Level::ALL.map(|level| (seed, level))) {
        for (smoothing, class_weights) in [(false, false), (true, false), (true, true)] {
            let problem = Problem::new(seed, 37, 19, 1, 2.0);
            equals_the_obvious_computation(only(smoothing, class_weights), problem, 1, 0, level).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_option_equals_the_obvious_computation(
        switches in switches(), seed: u64, rows in 1..70_usize, size in 1..40_usize, vocab in 1..1400_usize,
        threads in 1..4_usize, memory in prop::sample::select(vec![0_usize, 2 << 20, 4 << 20, 32 << 20]),
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        equals_the_obvious_computation(switches, Problem::new(seed, rows, size, vocab, 2.0), threads, memory, level)?;
    }

    #[test]
    fn losses_alone_and_gradients_after_them_are_those_of_one_call(
        switches in switches(), seed: u64, rows in 1..60_usize, vocab in 1..1200_usize,
    ) {
        let mut problem = Problem::new(seed, rows, 24, vocab, 2.0);
        switches.apply(&mut problem);
        let options = switches.options(problem.class_weights.as_deref(), &problem.row_weights, problem.offset.as_deref());
        let mut workspace = Workspace::new(2);
        let upstream = Upstream::Rows(&problem.upstream[..]);
        let both = fused(problem.linear(), &problem.targets, &options, upstream, &mut workspace);
        let rows = loss(problem.linear(), &problem.targets, &options, &mut workspace).unwrap();
        prop_assert!(error(&rows.loss, &both.loss) <= 1e-13);
        // What is there is added to: start from ones in weight and bias, from rubbish in hidden.
        let (mut d_hidden, mut d_weight, mut d_bias) =
            (vec![7.0; problem.hidden.len()], vec![1.0; problem.weight.len()], vec![1.0; vocab]);
        let wanted = Gradients {
            hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), bias: Some(&mut d_bias), accumulate: true,
        };
        gradients(problem.linear(), &problem.targets, &options, &rows, upstream, wanted, &mut workspace).unwrap();
        let more = |numbers: &[f64]| numbers.iter().map(|x| x + 1.0).collect::<Vec<_>>();
        prop_assert!(error(&d_hidden, &both.d_hidden) <= 1e-11);
        prop_assert!(error(&d_weight, &more(&both.d_weight)) <= 1e-11);
        prop_assert!(error(&d_bias, &more(&both.d_bias)) <= 1e-11);
    }
}

#[test]
fn the_same_bits_at_every_run_and_for_rows_that_are_ignored() {
    let problem = Problem::new(3, 200, 64, 2100, 2.0);
    let rounded = Rounded::of(&problem);
    for threads in [1, 2, 3] {
        let run = || {
            let mut workspace = Workspace::new(threads).with_memory_limit(6 << 20);
            let first = fused(
                rounded.linear(),
                &problem.targets,
                &Options::default(),
                Upstream::Same(0.01),
                &mut workspace,
            );
            let again = fused(
                rounded.linear(),
                &problem.targets,
                &Options::default(),
                Upstream::Same(0.01),
                &mut workspace,
            );
            assert!(first.d_weight == again.d_weight && first.d_hidden == again.d_hidden, "a used workspace");
            first
        };
        let (first, second) = (run(), run());
        assert!(first.loss == second.loss && first.d_weight == second.d_weight);
        assert!(first.d_hidden == second.d_hidden && first.d_bias == second.d_bias);
    }
}

#[test]
fn extreme_logits_stay_finite_and_right() {
    let (rows, size, vocab) = (20, 8, 700);
    let mut problem = Problem::new(5, rows, size, vocab, 1e5);
    problem.bias = None;
    let rounded = Rounded::of(&problem);
    for transform in [LogitTransform::Identity, LogitTransform::Sigsoftmax] {
        let (wide, options) =
            (Options { transform, ..Options::default() }, Options { transform, ..Options::default() });
        let exact = naive_f64(problem.linear(), &problem.targets, &wide, &problem.upstream);
        assert!(exact.log_normaliser.iter().any(|x| *x > 1e5));
        let plain = naive_f32(rounded.linear(), &problem.targets, &options, &rounded.upstream);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let mut workspace = Workspace::new(1).with_level(level);
            let upstream = Upstream::Rows(&rounded.upstream[..]);
            let got = fused(rounded.linear(), &problem.targets, &options, upstream, &mut workspace);
            assert!(got.loss.iter().chain(&got.d_weight).chain(&got.d_hidden).all(|x| x.is_finite()));
            assert!(got.loss.iter().all(|x| *x >= 0.0));
            compare(&got, &exact, Some(&plain), 1e-6).unwrap();
        }
    }
}

#[test]
fn masked_classes_have_no_probability_and_no_gradient() {
    let mut problem = Problem::new(6, 9, 8, 1300, 1.0);
    // A whole block and more.
    problem.bias.as_mut().unwrap()[..600].fill(f64::NEG_INFINITY);
    for target in &mut problem.targets {
        *target = 600 + *target / 2;
    }
    let rounded = Rounded::of(&problem);
    let mut workspace = Workspace::new(1);
    for transform in TRANSFORMS {
        let options = Options { transform, ..Options::default() };
        let got = fused(rounded.linear(), &problem.targets, &options, Upstream::Same(1.0), &mut workspace);
        assert!(got.loss.iter().all(|loss| loss.is_finite()));
        assert!(
            got.d_weight[..600 * 8].iter().all(|x| *x == 0.0)
                && got.d_weight[600 * 8..].iter().all(|x| x.is_finite())
        );
    }
}

#[test]
fn no_row_that_counts_gives_zeros() {
    let problem = Problem::new(8, 4, 3, 10, 1.0);
    let options = Options { ignore_index: Some(-1), ..Options::default() };
    let (mut d_hidden, mut d_weight) = (vec![1.0; 12], vec![1.0; 30]);
    let wanted =
        Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), ..Gradients::default() };
    let mut workspace = Workspace::new(1);
    let rows =
        loss_and_gradients(problem.linear(), &[-1; 4], &options, Upstream::Same(1.0), wanted, &mut workspace)
            .unwrap();
    assert_eq!(rows.loss, [0.0; 4]);
    assert!(d_hidden.iter().chain(&d_weight).all(|x| *x == 0.0));
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let problem = Problem::new(9, 4, 3, 10, 1.0);
    let mut workspace = Workspace::new(1);
    let mut fails = |linear, targets: &[i64], options: &Options<'_, f64>| {
        loss(linear, targets, options, &mut workspace).unwrap_err().to_string()
    };
    let plain = Options::default();
    let message = fails(problem.linear(), &[0, 1, 10, 2], &plain);
    assert!(message.contains("row 2") && message.contains("10"), "{message}");
    assert!(fails(problem.linear(), &[0, 1, 2], &plain).contains("targets has 3 numbers, expected 4"));
    let short = Linear { bias: Some(&[0.0; 9]), ..problem.linear() };
    assert!(fails(short, &[0; 4], &plain).contains("bias has 9"));
    let ragged = Linear { hidden: &problem.hidden[..11], ..problem.linear() };
    assert!(fails(ragged, &[0; 3], &plain).contains("hidden has 11"));
    let cases = [
        Options { label_smoothing: 1.0, ..plain },
        Options { temperature: 0.0, ..plain },
        Options { transform: LogitTransform::SoftCap(-1.0), ..plain },
        Options { z_loss: f64::NAN, ..plain },
        Options { focal_gamma: 1.0, label_smoothing: 0.1, ..plain },
        Options { class_weights: Some(&[1.0; 3]), ..plain },
        Options { class_weights: Some(&[-1.0; 10]), ..plain },
        Options { logit_offset: Some(&[1.0; 11]), ..plain },
        Options { row_weights: Some(&[1.0; 3]), ..plain },
        Options { row_weights: Some(&[1.0, f64::NAN, 1.0, 1.0]), ..plain },
        Options { smoothed_classes: Some(9), ..plain },
    ];
    for options in cases {
        assert!(fails(problem.linear(), &[0; 4], &options).contains("expected"), "{options:?}");
    }
    let mut short = [0.0; 5];
    let wanted = Gradients { weight: Some(&mut short), ..Gradients::default() };
    let refused =
        loss_and_gradients(problem.linear(), &[0; 4], &plain, Upstream::Same(1.0), wanted, &mut workspace);
    assert!(matches!(refused, Err(KernelError::Length { what: "gradient of weight", given: 5, .. })));
}
