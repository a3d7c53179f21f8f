//! Defects of other packages that concern mixtures, by their rows in `docs/DEFECTS.md`: each test
//! shows that the layers are free of one and that its check rejects the defect.
#![allow(clippy::unwrap_used)]

mod common;

use common::Head;
use lexmax_conformance::numbers::{close, floats, rows};
use lexmax_conformance::wave;
use lexmax_mixture::MixtureConfig;
use lexmax_output::{LossOptions, Reduction};
use tch::{Device, Kind, Tensor};

fn by_rows() -> LossOptions {
    LossOptions { reduction: Reduction::None, ..LossOptions::default() }
}

/// Row 8: `log_prob` disagreed with the loss, and its probabilities did not sum to one.
#[test]
fn a20_08_log_prob_agrees_with_the_loss() {
    for head in Head::all(&by_rows()) {
        let mut built = head.build(20, 6, Kind::Double);
        let (hidden, targets) = (wave(&[4, 6], 0.6, 1.0), [0_i64, 4, 8, 17]);
        let negated: Vec<f64> = floats(&built.loss(&hidden, &targets)).iter().map(|loss| -loss).collect();
        let dense = built.log_probs(&hidden);
        let consistent = |dense: &Tensor| {
            let at_targets = dense.gather(1, &Tensor::from_slice(&targets).unsqueeze(1), false);
            let sums = dense.exp().sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
            close(&floats(&at_targets), &negated) && close(&floats(&sums), &[1.0; 4])
        };
        assert!(consistent(&dense), "{head:?}");
        assert!(close(&built.log_prob(&hidden, &targets), &negated), "{head:?}");
        // The defect: a distribution that is off by a common factor.
        assert!(!consistent(&(dense - 1e-6)), "{head:?}");
    }
}

/// Row 9: parameters that never learn at an edge of the configuration (here: the prior of a single
/// component).
#[test]
fn a20_09_every_parameter_learns_at_every_edge() {
    for head in Head::all(&LossOptions::default()) {
        assert_eq!(head.build(20, 6, Kind::Double).idle(&[0, 4, 11]), Vec::<String>::new(), "{head:?}");
        // The defect: a parameter that no loss reaches.
        let mut built = head.build(20, 6, Kind::Double);
        let _ = built.store.root().zeros("unreached", &[2]);
        assert_eq!(built.idle(&[0, 4, 11]), ["unreached"]);
    }
}

/// Row 9, a batch of ignored rows alone: the gradients are zero, and there are some.
#[test]
fn a20_09_a_batch_of_ignored_rows_has_gradients_of_zeros() {
    for head in Head::all(&LossOptions { ignore_index: Some(0), ..LossOptions::default() }) {
        let mut built = head.build(20, 6, Kind::Double);
        let loss = built.loss(&wave(&[2, 6], 0.3, 1.0), &[0, 0]);
        assert_eq!(loss.double_value(&[]), 0.0);
        loss.backward();
        for (name, variable) in built.variables() {
            assert!(
                variable.grad().defined() && variable.grad().abs().max().double_value(&[]) == 0.0,
                "{name}"
            );
        }
    }
}

/// Row 10: `log(p + 1e-8)` cannot see below -18.4 nats.
#[test]
fn a20_10_mixture_has_no_floor_under_the_logarithm() {
    for kind in [Kind::Double, Kind::Float] {
        let config =
            MixtureConfig { components: 2, latent_size: Some(1), bias: false, ..MixtureConfig::default() };
        let head = Head(config);
        let built = head.build(4, 1, kind);
        // The latent states are tanh(50) = 1 and -1 to the last bit, so the logits are the weights
        // and their negatives.
        built.set("prior.weight", &[0.25, -0.25]);
        built.set("latent.weight", &[0.0, 0.0]);
        built.set("latent.bias", &[50.0, -50.0]);
        built.set("weight", &[1e4, 1e4 - 60.0, 0.0, -1e4]);
        let hidden = Tensor::ones([1, 1], (kind, Device::Cpu));
        let expected = head.oracle_row(&built.parameters(), &[1.0]);
        assert!((expected[1] + 60.0).abs() < 1.0, "the target is at about -60 nats: {}", expected[1]);
        let roundoff = if kind == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let agrees = |log_probs: &[f64]| {
            log_probs
                .iter()
                .zip(&expected)
                .all(|(got, expected)| (got - expected).abs() <= 8.0 * roundoff * expected.abs().max(1.0))
        };
        let dense = built.log_probs(&hidden);
        assert!(agrees(&floats(&dense)), "{kind:?}: {dense} {expected:?}");
        let of_targets: Vec<f64> = (0..4).flat_map(|target| built.log_prob(&hidden, &[target])).collect();
        assert!(agrees(&of_targets), "{kind:?}: {of_targets:?} {expected:?}");
        // The defect.
        let floored = floats(&(dense.to_kind(Kind::Double).exp() + 1e-8).log());
        assert!(floored[1] > -20.0 && !agrees(&floored));
    }
}

/// Row 15: the smoothing was spread over the classes at hand, not over all `V`.
#[test]
fn a20_15_smoothing_is_over_all_classes_of_the_mixture() {
    let smoothing = 0.2;
    for head in Head::all(&LossOptions { label_smoothing: smoothing, ..by_rows() }) {
        let mut built = head.build(20, 6, Kind::Double);
        let (hidden, targets) = (wave(&[4, 6], 1.1, 1.0), [2_i64, 7, 13, 19]);
        let dense = rows(&built.log_probs(&hidden));
        let smoothed = |classes: usize| {
            let row = |(row, &target): (&Vec<f64>, &i64)| {
                let spread = row[..classes].iter().sum::<f64>() / classes as f64;
                -(1.0 - smoothing) * row[target as usize] - smoothing * spread
            };
            dense.iter().zip(&targets).map(row).collect::<Vec<_>>()
        };
        let losses = floats(&built.loss(&hidden, &targets));
        assert!(close(&losses, &smoothed(20)), "{head:?}");
        // The defect: a part of the classes.
        assert!(!close(&losses, &smoothed(10)), "{head:?}");
    }
}

/// Row 17: half precision met a buffer of another dtype.
#[test]
fn a20_17_every_element_type_trains() {
    let targets = [0_i64, 4, 8, 17, 13];
    for head in Head::all(&LossOptions::default()) {
        let run = |kind: Kind| {
            let mut built = head.build(20, 6, kind);
            let hidden = wave(&[5, 6], 0.9, 1.0).to_kind(kind).set_requires_grad(true);
            let loss = built.loss(&hidden, &targets);
            loss.backward();
            assert_eq!((loss.kind(), hidden.grad().kind()), (kind, kind));
            let gradients =
                built.variables().into_iter().map(|(_, variable)| variable.grad().to_kind(Kind::Double));
            (loss.double_value(&[]), gradients.collect::<Vec<_>>())
        };
        let (truth, gradients) = run(Kind::Double);
        let near = |kind: Kind, roundoff: f64, shift: f64| {
            let (loss, rounded) = run(kind);
            (loss + shift - truth).abs() <= 16.0 * roundoff * truth
                && rounded.iter().zip(&gradients).all(|(rounded, gradient)| {
                    let (error, scale) = ((rounded - gradient).norm(), gradient.norm());
                    error.double_value(&[]) <= 32.0 * roundoff * scale.double_value(&[])
                })
        };
        for (kind, roundoff) in [(Kind::Float, 2f64.powi(-24)), (Kind::BFloat16, 2f64.powi(-8))] {
            assert!(near(kind, roundoff, 0.0), "{head:?} {kind:?}");
            // The check notices an error of a few times the rounding that it allows.
            assert!(!near(kind, roundoff, 64.0 * roundoff * truth), "{head:?} {kind:?}");
        }
    }
}
