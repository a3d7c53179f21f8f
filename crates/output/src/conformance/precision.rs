//! Laws of the element types: f32 is as close to f64 as a plain f32 softmax of the same size is, bf16 trains.

use tch::{Kind, Tensor};

use super::subject::{Case, Subject, dense_gradient, difference, epsilon, magnitude, normal};
use crate::LossOptions;
use lexmax_kernels::seed::generator;

pub(super) fn check(case: &Case<'_>) {
    let truth = log_prob(&case.subject(Kind::Double, LossOptions::default()));
    let single = log_prob(&case.subject(Kind::Float, LossOptions::default()));
    let error = difference(&single, &truth);
    // The factor leaves room for products in series (a tree's path, a cluster's projection), not for another algorithm.
    let allowed = 16.0 * plain_error(case) + 32.0 * epsilon(Kind::Float) * magnitude(&truth).max(1.0);
    assert!(error <= allowed, "{}: f32 log_prob is off by {error:.3e}, allowed {allowed:.3e}", case.name);

    let mut half = case.subject(Kind::BFloat16, LossOptions::default());
    let loss = half.loss();
    assert_eq!(loss.tensor().kind(), Kind::BFloat16, "{}: kind of a bf16 loss", case.name);
    loss.backward().unwrap();
    for (name, variable) in half.variables() {
        let finite = dense_gradient(&variable).isfinite().all().int64_value(&[]) == 1;
        assert!(finite, "{}: the bf16 gradient of {name} is not finite", case.name);
    }
}

fn log_prob(subject: &Subject) -> Tensor {
    subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap().into_tensor()
}

/// Error of the textbook computation in f32 on logits of this case's size: the yardstick.
fn plain_error(case: &Case<'_>) -> f64 {
    let mut rng = generator(9, "yardstick", 0);
    let hidden = normal(&mut rng, &[64, case.hidden_size], 1.0);
    let weight = normal(&mut rng, &[case.vocab_size, case.hidden_size], 0.4);
    let softmax =
        |kind| hidden.to_kind(kind).matmul(&weight.to_kind(kind).transpose(0, 1)).log_softmax(-1, kind);
    difference(&softmax(Kind::Float), &softmax(Kind::Double))
}
