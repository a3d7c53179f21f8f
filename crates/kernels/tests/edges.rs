//! The edges of what numbers can be: biases beyond the range of exp, masked classes, paths of
//! thousands of steps, logits that are not finite, limits of memory that many threads share.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::linear_ce::mixture::{self, Mixture, MixtureGradients};
use lexmax_kernels::linear_ce::{
    Filter, Gradients, Linear, Options, Upstream, Workspace, gradients, loss, loss_and_gradients,
};
use lexmax_kernels::optim::{self, Gradient, Rule, Tables};
use lexmax_kernels::query::{mixture_top_k, sample};
use lexmax_kernels::sampled::{Candidates, Negatives, Sets};
use lexmax_kernels::two_level::{self, TwoLevel, every_word};
use lexmax_kernels::{KernelError, Level, LogitTransform, tree};

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

/// Rows of a chunk are filled up to whole registers; what fills them has no say, whatever the bias
/// is.
#[test]
fn padding_says_nothing_under_large_biases() {
    for (rows, bias, temperature) in [(1, 100.0, 1.0), (17, 100.0, 1.0), (1, 4.6, 0.05), (17, 3e4, 1.0)] {
        for level in LEVELS {
            let plain = LogitTransform::Identity;
            for (transform, smoothing) in [(plain, 0.0), (LogitTransform::SoftCap(1e4), 0.0), (plain, 0.1)] {
                let (hidden, targets) = (vec![0.0_f32; rows], vec![0_i64; rows]);
                let linear =
                    Linear { hidden: &hidden, weight: &[0.0; 2], bias: Some(&[bias, 0.0]), hidden_size: 1 };
                let options =
                    Options { temperature, transform, label_smoothing: smoothing, ..Options::default() };
                // As little memory as there can be: logits are computed again.
                let mut workspace = Workspace::new(1).with_level(level).with_memory_limit(0);
                let (mut both, mut alone) = ([0.0; 2], [0.0; 2]);
                let wanted = Gradients { bias: Some(&mut both), ..Gradients::default() };
                let upstream = Upstream::Same(1.0);
                loss_and_gradients(linear, &targets, &options, upstream, wanted, &mut workspace).unwrap();
                let known = loss(linear, &targets, &options, &mut workspace).unwrap();
                let wanted = Gradients { bias: Some(&mut alone), ..Gradients::default() };
                gradients(linear, &targets, &options, &known, upstream, wanted, &mut workspace).unwrap();
                // p of the first class is one.
                let slope = match transform {
                    LogitTransform::SoftCap(cap) => {
                        1.0 - (f64::from(bias) / temperature / cap).tanh().powi(2)
                    }
                    _ => 1.0,
                };
                let expected = rows as f64 * slope * smoothing / 2.0 / temperature;
                for got in [both, alone] {
                    let off = [f64::from(got[0]) - expected, f64::from(got[1]) + expected];
                    assert!(
                        off.iter().all(|off| off.abs() <= 1e-4 * expected + 1e-5 * rows as f64 / temperature),
                        "{got:?}, {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_filter_is_not_misled_by_padding() {
    let linear = Linear { hidden: &[0.0_f32], weight: &[0.0; 2], bias: Some(&[100.0, 0.0]), hidden_size: 1 };
    let options = Options { filter: Some(Filter { eps: 1e-5, exact_weight: false }), ..Options::default() };
    let mut d_bias = [0.0; 2];
    let wanted = Gradients { bias: Some(&mut d_bias), ..Gradients::default() };
    let mut workspace = Workspace::new(1).with_memory_limit(0);
    let rows =
        loss_and_gradients(linear, &[0], &options, Upstream::Same(1.0), wanted, &mut workspace).unwrap();
    assert_eq!((rows.filtered.unwrap().kept, d_bias), (1, [0.0; 2]));
}

#[test]
fn smoothed_mixtures_under_large_biases() {
    for level in LEVELS {
        let linear =
            Linear { hidden: &[0.0_f32; 2], weight: &[0.0; 2], bias: Some(&[100.0, 0.0]), hidden_size: 1 };
        let mixture = Mixture { linear, log_prior: &[0.5_f32.ln(); 2], components: 2 };
        let options = Options { label_smoothing: 0.1, ..Options::default() };
        let mut d_bias = [0.0; 2];
        let linear = Gradients { bias: Some(&mut d_bias), ..Gradients::default() };
        let wanted = MixtureGradients { linear, ..MixtureGradients::default() };
        let mut workspace = Workspace::new(1).with_level(level).with_memory_limit(0);
        mixture::loss_and_gradients(mixture, &[0], &options, Upstream::Same(1.0), wanted, &mut workspace)
            .unwrap();
        assert!((d_bias[0] - 0.05).abs() < 1e-6 && (d_bias[1] + 0.05).abs() < 1e-6, "{d_bias:?}");
    }
}

/// Classes of probability zero, by a bias or an offset of minus infinity.
#[test]
fn masked_classes_cost_nothing_where_they_weigh_nothing() {
    let masked = [f32::NEG_INFINITY, 0.0, 0.0];
    for by_bias in [true, false] {
        let (bias, logit_offset) =
            if by_bias { (Some(&masked[..]), None) } else { (None, Some(&masked[..])) };
        let linear = Linear { hidden: &[1.0_f32; 2], weight: &[0.5, 0.25, -0.5], bias, hidden_size: 1 };
        let run = |targets: &[i64], options: &Options<'_, f32>| {
            let mut d_weight = [0.0; 3];
            let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
            let upstream = Upstream::Same(1.0);
            let rows = loss_and_gradients(linear, targets, options, upstream, wanted, &mut Workspace::new(1))
                .unwrap();
            assert!(d_weight.iter().all(|x| x.is_finite()), "{d_weight:?} {options:?}");
            rows.loss
        };
        let plain = Options { logit_offset, ..Options::default() };
        // A target without probability: the loss is infinite, with the factor of focal too, and the
        // gradients are those of its logit.
        for options in [
            plain,
            Options { focal_gamma: 2.0, ..plain },
            Options { transform: LogitTransform::SoftCap(5.0), ..plain },
            Options { transform: LogitTransform::Sigsoftmax, ..plain },
        ] {
            let loss = run(&[0, 1], &options);
            assert!(
                loss[0] == f64::INFINITY || by_bias && options.transform != LogitTransform::Identity,
                "{loss:?}"
            );
            assert!(loss[1].is_finite());
        }
        let weightless = Options { class_weights: Some(&[0.0, 1.0, 1.0]), ..plain };
        assert_eq!(run(&[0, 1], &weightless)[0], 0.0);
        let smoothed = Options { label_smoothing: 0.1, ..weightless };
        assert!(run(&[1, 0], &smoothed).iter().all(|loss| loss.is_finite()));
        let by_rows = Options { row_weights: Some(&[0.0, 1.0]), ..plain };
        assert_eq!(run(&[0, 1], &by_rows)[0], 0.0);
        let mixture = Mixture { linear, log_prior: &[0.5_f32.ln(); 2], components: 2 };
        let wanted = MixtureGradients::default();
        let losses = mixture::loss_and_gradients(
            mixture,
            &[0],
            &weightless,
            Upstream::Same(1.0),
            wanted,
            &mut Workspace::new(1),
        );
        assert_eq!(losses.unwrap(), [0.0]);
    }
}

#[test]
fn nan_in_a_hidden_state_reaches_loss_gradients_and_top_k() {
    for (second, label_smoothing) in [(1.0, 0.0), (1.0, 0.1), (f32::NAN, 0.0), (f32::NAN, 0.1)] {
        let linear =
            Linear { hidden: &[f32::NAN, second], weight: &[0.5, 0.25, -0.5], bias: None, hidden_size: 1 };
        let mixture = Mixture { linear, log_prior: &[0.5_f32.ln(); 2], components: 2 };
        let options = Options { label_smoothing, ..Options::default() };
        let mut d_log_prior = [0.0; 2];
        let wanted = MixtureGradients { log_prior: Some(&mut d_log_prior), ..MixtureGradients::default() };
        let upstream = Upstream::Same(1.0);
        let loss =
            mixture::loss_and_gradients(mixture, &[0], &options, upstream, wanted, &mut Workspace::new(1));
        assert!(loss.unwrap()[0].is_nan() && d_log_prior.iter().any(|x| x.is_nan()), "{d_log_prior:?}");
        let best = mixture_top_k(mixture, 1, &mut Workspace::new(1)).unwrap();
        assert!(best.log_probs[0].is_nan(), "{best:?}");
    }
}

/// A block of classes with a logit that is not finite loses against the others, but the row says
/// so.
#[test]
fn draws_refuse_rows_that_are_no_distribution() {
    for bad in [f32::NAN, f32::INFINITY] {
        for class in [0, 1299] {
            let mut weight = vec![0.0; 1300];
            weight[class] = bad;
            let linear = Linear { hidden: &[1.0_f32], weight: &weight, bias: None, hidden_size: 1 };
            let drawn = sample(linear, 1, 1.0, LogitTransform::Identity, &mut Workspace::new(1));
            assert!(matches!(drawn, Err(KernelError::NotFinite { row: 0, .. })), "{drawn:?}");
        }
    }
}

/// Choices that are undecided add `log 2` each, however many there are.
#[test]
fn paths_of_thousands_of_steps() {
    const STEPS: usize = 3000;
    // A chain: word `w` is left at node `w`, the last word at none.
    let (mut offsets, mut steps) = (vec![0], Vec::new());
    for word in 0..=STEPS {
        steps.extend((0..=word.min(STEPS - 1)).map(|node| 2 * node as i32 + i32::from(node == word)));
        offsets.push(steps.len() as i64);
    }
    let table = tree::Table { offsets: &offsets, steps: &steps };
    let weight = vec![0.0_f64; STEPS];
    let linear = Linear { hidden: &[1.0], weight: &weight, bias: None, hidden_size: 1 };
    let batch = tree::Batch::new(table, &[STEPS as i64], STEPS).unwrap();
    let log_prob = tree::log_prob(linear, &batch, &mut tree::Workspace::new(1)).unwrap();
    assert!((log_prob[0] + STEPS as f64 * 2_f64.ln()).abs() < 1e-8, "{log_prob:?}");
}

#[test]
fn certainty_allows_for_the_rounding_of_large_logits() {
    // One unit in the last place above all others: another order of summation may turn that round.
    let mut weight = vec![2999.9998_f32; 200];
    weight[0] = 3000.0;
    let linear = Linear { hidden: &[1.0_f32], weight: &weight, bias: None, hidden_size: 1 };
    let mixture = Mixture { linear, log_prior: &[0.0], components: 1 };
    let best = mixture_top_k(mixture, 1, &mut Workspace::new(1)).unwrap();
    assert_eq!(best.certain, [false]);
}

#[test]
fn arguments_that_would_give_silent_nan_or_zero_are_refused() {
    let negatives = |log_expected: Vec<f64>, of_target: f64| Negatives {
        sets: Sets::Shared,
        ids: vec![3; log_expected.len()],
        log_expected,
        target_log_expected: vec![of_target],
        leave_hits_out: true,
    };
    let refused = |negatives| Candidates::new(vec![1], negatives, 5).unwrap_err().to_string();
    assert!(refused(negatives(vec![f64::NAN], 0.0)).contains("log_expected"));
    assert!(refused(negatives(vec![0.0], f64::NEG_INFINITY)).contains("target_log_expected"));
    assert!(refused(negatives(vec![0.0, 1.0], 0.0)).contains("same class"));

    let rule = Rule::Adam {
        learning_rate: 0.1,
        weight_decay: 0.0,
        decoupled: false,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        step: 0.0,
    };
    let (mut parameter, mut first, mut second) = ([1.0_f32], [0.0], [0.0]);
    let tables = Tables { parameter: &mut parameter, state: vec![&mut first, &mut second], width: 1 };
    let error = optim::update(rule, tables, Gradient::Dense(&[1.0]), 1.0, 1).unwrap_err().to_string();
    assert!(error.contains("step") && error.contains("from one up"), "{error}");

    let linear = Linear { hidden: &[1.0_f32], weight: &[0.0; 2], bias: None, hidden_size: 1 };
    for options in [
        Options { transform: LogitTransform::SoftCap(1e-40), ..Options::default() },
        Options { temperature: 1e-40, ..Options::default() },
    ] {
        let error = loss(linear, &[0], &options, &mut Workspace::new(1)).unwrap_err().to_string();
        assert!(error.contains("its inverse too"), "{error}");
    }
}

#[test]
fn sums_over_every_word_check_all_before_they_write() {
    let layer = TwoLevel {
        hidden: &[1.0_f32],
        class_weight: &[0.0; 2],
        class_bias: None,
        weight: &[0.0; 3],
        bias: None,
        hidden_size: 1,
    };
    let mut d_weight = [7.0; 3];
    let mut run = |layer, weights: Option<&[f32]>, upstream| {
        let wanted = two_level::Gradients { weight: Some(&mut d_weight), ..two_level::Gradients::default() };
        let mut workspace = two_level::Workspace::new(1);
        every_word(layer, &[0, 1, 3], weights, upstream, wanted, &mut workspace).unwrap_err().to_string()
    };
    let upstream = Some(Upstream::Same(1.0));
    assert!(run(layer, Some(&[1.0, 1.0, f32::NAN]), upstream).contains("two_level.every_word"));
    let short = TwoLevel { class_bias: Some(&[0.0]), ..layer };
    assert!(run(short, None, upstream).contains("class_bias"));
    assert!(run(layer, None, None).contains("upstream"));
    assert_eq!(d_weight, [7.0; 3]);
}
