//! Laws of the gradients: they are the derivatives of the loss, for every parameter and for the
//! hidden states, also under a random weight on each row's loss.

use tch::{Kind, Tensor};

use crate::compare::{assert_close, dense_gradient, to_dense};
use crate::normal;
use crate::subject::{ROWS, Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::{LossOptions, Reduction};
use rand::RngExt;

/// Entries of each tensor that are checked by finite differences.
const PROBES: usize = 24;
const STEP: f64 = 1e-6;

pub(crate) fn check(trial: &Trial<'_>) {
    finite_differences(trial, LossOptions { reduction: Reduction::None, ..LossOptions::default() });
    if !trial.refuses("label_smoothing") {
        let options =
            LossOptions { reduction: Reduction::None, label_smoothing: 0.1, ..LossOptions::default() };
        finite_differences(trial, options);
    }
    every_parameter_learns(trial);
    a_kept_graph_gives_the_same_again(trial);
    answers_are_differentiable(trial);
}

/// The objective of the check: each row's loss with a random weight of its own (a wrong upstream
/// gradient shows here).
fn objective(subject: &mut Subject, upstream: &Tensor) -> Tensor {
    (subject.loss().tensor() * upstream).sum(Kind::Double)
}

fn finite_differences(trial: &Trial<'_>, options: LossOptions) {
    let mut subject = trial.subject(Kind::Double, options);
    let mut rng = generator(5, "probes", 0);
    let upstream = normal(&mut rng, &[ROWS], 1.0);
    objective(&mut subject, &upstream).backward();
    let mut tensors = subject.variables();
    tensors.push(("hidden".to_owned(), subject.hidden.shallow_clone()));
    for (name, tensor) in tensors {
        let gradient = dense_gradient(&tensor);
        assert!(gradient.defined(), "{}: {name} has no gradient", trial.name);
        let (flat, gradient) = (tensor.detach().view(-1), gradient.view(-1));
        for _ in 0..PROBES.min(tensor.numel()) {
            let index = rng.random_range(0..tensor.numel() as i64);
            let mut moved = |by: f64| {
                let _guard = tch::no_grad_guard();
                let mut entry = flat.get(index);
                let before = entry.double_value(&[]);
                let _ = entry.fill_(before + by);
                let value = objective(&mut subject, &upstream).double_value(&[]);
                let _ = entry.fill_(before);
                value
            };
            let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let analytic = gradient.double_value(&[index]);
            // Rounding of the objective divided by the step, and the step's own truncation.
            let allowed = 2e-8 * analytic.abs().max(10.0);
            assert!(
                (numeric - analytic).abs() <= allowed.max(1e-7 * numeric.abs()),
                "{}: d loss / d {name}[{index}] is {analytic}, finite differences give {numeric}",
                trial.name
            );
        }
    }
}

/// Every trainable parameter has a gradient after one backward pass, and a step along it lowers the
/// loss.
fn every_parameter_learns(trial: &Trial<'_>) {
    let mut subject = trial.subject(Kind::Double, LossOptions::default());
    let before = subject.loss();
    before.backward().unwrap();
    let variables = subject.variables();
    for (name, variable) in &variables {
        assert!(dense_gradient(variable).defined(), "{}: {name} got no gradient", trial.name);
        let _guard = tch::no_grad_guard();
        let _ = variable.shallow_clone().g_sub_(&(dense_gradient(variable) * 1e-3));
    }
    let after = subject.loss();
    let (before, after) = (before.value().unwrap(), after.value().unwrap());
    assert!(
        after < before,
        "{}: a step along the gradient moved the loss from {before} to {after}",
        trial.name
    );
}

/// A second pass over a kept graph gives the same gradients, whatever became of the first ones:
/// clipping and momentum change them in place.
fn a_kept_graph_gives_the_same_again(trial: &Trial<'_>) {
    for reduction in [Reduction::None, Reduction::Mean] {
        let mut subject = trial.subject(Kind::Double, LossOptions { reduction, ..LossOptions::default() });
        let loss = subject.loss().into_tensor().sum(Kind::Double);
        let mut inputs = subject.variables();
        inputs.push(("hidden".to_owned(), subject.hidden.shallow_clone()));
        let tensors: Vec<&Tensor> = inputs.iter().map(|(_, tensor)| tensor).collect();
        let pass = || Tensor::f_run_backward(&[&loss], &tensors, true, false).unwrap();
        let first = pass();
        let before: Vec<Tensor> = first.iter().map(|gradient| to_dense(gradient).copy()).collect();
        for gradient in &first {
            let mut numbers =
                if gradient.is_sparse() { gradient.internal_values() } else { gradient.shallow_clone() };
            let _ = numbers.g_mul_scalar_(7.0);
        }
        for ((name, _), (expected, again)) in inputs.iter().zip(before.iter().zip(pass())) {
            assert_eq!(&to_dense(&again), expected, "{}: {name}, {reduction:?}, second pass", trial.name);
        }
    }
}

/// The gradients through `log_prob` are those through the entries of `log_probs`; best classes are
/// numbers without a graph.
fn answers_are_differentiable(trial: &Trial<'_>) {
    let subject = trial.subject(Kind::Double, LossOptions::default());
    let upstream = normal(&mut generator(8, "upstream", 0), &[ROWS], 1.0);
    let mut inputs = subject.variables();
    inputs.push(("hidden".to_owned(), subject.hidden.shallow_clone()));
    let tensors: Vec<&Tensor> = inputs.iter().map(|(_, tensor)| tensor).collect();
    let gradients = |log_prob: Tensor| {
        let total = (log_prob * &upstream).sum(Kind::Double);
        assert!(total.requires_grad(), "{}: log_prob has no graph", trial.name);
        total.backward();
        let found: Vec<Tensor> = tensors.iter().map(|tensor| dense_gradient(tensor).copy()).collect();
        for tensor in &tensors {
            tensor.shallow_clone().zero_grad();
        }
        found
    };
    let of_targets = subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap().into_tensor();
    let all = subject.layer.log_probs(&subject.hidden).unwrap().into_tensor();
    let entries = all.gather(1, &subject.targets.unsqueeze(1), false).squeeze_dim(1);
    for ((name, _), (a, b)) in inputs.iter().zip(gradients(of_targets).iter().zip(&gradients(entries))) {
        let what = format!("{}: gradient of {name} through log_prob and through log_probs", trial.name);
        assert_close(&what, a, b, Kind::Double, 1024.0);
    }
    let top = subject.layer.top_k(&subject.hidden, 1).unwrap();
    assert!(!top.log_probs.requires_grad(), "{}: top_k records a graph", trial.name);
}
