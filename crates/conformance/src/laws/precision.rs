//! Laws of the dtypes: f32 is as close to f64 as a plain f32 softmax of the same size is, bf16
//! trains.

use tch::{Kind, Tensor};

use crate::compare::{dense_gradient, difference, epsilon, magnitude};
use crate::normal;
use crate::subject::{Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::LossOptions;

pub(crate) fn check(trial: &Trial<'_>) {
    let truth = log_prob(&trial.subject(Kind::Double, LossOptions::default()));
    let single = log_prob(&trial.subject(Kind::Float, LossOptions::default()));
    let error = difference(&single, &truth);
    // The factor leaves room for products in series (a tree's path, a cluster's projection), not
    // for another algorithm.
    let allowed =
        16.0 * plain_error(trial, Kind::Float) + 32.0 * epsilon(Kind::Float) * magnitude(&truth).max(1.0);
    assert!(error <= allowed, "{}: f32 log_prob is off by {error:.3e}, allowed {allowed:.3e}", trial.name);

    let mut half = trial.subject(Kind::BFloat16, LossOptions::default());
    half_is_f64_of_rounded_parameters(trial, &half);
    let loss = half.loss();
    assert_eq!(loss.tensor().kind(), Kind::BFloat16, "{}: kind of a bf16 loss", trial.name);
    loss.backward().unwrap();
    for (name, variable) in half.variables() {
        let finite = dense_gradient(&variable).isfinite().all().int64_value(&[]) == 1;
        assert!(finite, "{}: the bf16 gradient of {name} is not finite", trial.name);
    }
}

/// A bf16 layer is as far from f64 on its own (rounded) parameters as a plain bf16 product is.
fn half_is_f64_of_rounded_parameters(trial: &Trial<'_>, half: &Subject) {
    let mut wide = trial.subject(Kind::Double, LossOptions::default());
    for ((_, to), (_, from)) in wide.variables().iter().zip(half.variables()) {
        tch::no_grad(|| to.shallow_clone().copy_(&from));
    }
    wide.hidden = half.hidden.detach().to_kind(Kind::Double);
    let error = difference(&log_prob(half), &log_prob(&wide));
    let allowed = 8.0 * plain_error(trial, Kind::BFloat16);
    assert!(error <= allowed, "{}: bf16 log_prob is off by {error:.3e}, allowed {allowed:.3e}", trial.name);
}

fn log_prob(subject: &Subject) -> Tensor {
    subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap().into_tensor()
}

/// Error of the textbook computation with products of some dtype on logits of this case's size: the
/// yardstick.
fn plain_error(trial: &Trial<'_>, kind: Kind) -> f64 {
    let mut rng = generator(9, "yardstick", 0);
    let hidden = normal(&mut rng, &[64, trial.hidden_size], 1.0).to_kind(kind);
    let weight = normal(&mut rng, &[trial.vocab_size, trial.hidden_size], 0.4).to_kind(kind);
    let softmax =
        |kind, sum| hidden.to_kind(kind).matmul(&weight.to_kind(kind).transpose(0, 1)).log_softmax(-1, sum);
    difference(&softmax(kind, Kind::Float), &softmax(Kind::Double, Kind::Double))
}
