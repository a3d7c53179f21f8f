//! Laws of bad input: an error that names the operation, what was given and what was expected,
//! never a panic.

use tch::{Device, Kind, Tensor};

use crate::compare::assert_close;
use crate::subject::{Subject, Trial};
use lexmax_output::{LossOptions, OutputError};

pub(crate) fn check(trial: &Trial<'_>) {
    let mut subject = trial.subject(Kind::Float, LossOptions::default());
    targets_out_of_range(trial, &mut subject);
    shapes(trial, &mut subject);
    not_finite(trial, &mut subject);
    k_out_of_range(trial, &subject);
    strided(trial, &mut subject);
    no_rows(trial, &mut subject);
    options(trial);
}

fn says(trial: &Trial<'_>, error: &OutputError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{}: the error {text:?} does not say {word:?}", trial.name);
    }
}

fn targets_out_of_range(trial: &Trial<'_>, subject: &mut Subject) {
    for bad in [trial.vocab_size, -1, i64::MAX] {
        let targets = subject.targets.copy();
        let _ = targets.get(4).fill_(bad);
        let words = [bad.to_string(), "row 4".to_owned(), format!("0..{}", trial.vocab_size)];
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        says(
            trial,
            &subject.layer.loss_with(&subject.hidden, &targets, &mut Subject::rng()).unwrap_err(),
            &words,
        );
        says(trial, &subject.layer.log_prob(&subject.hidden, &targets).unwrap_err(), &words);
    }
}

fn shapes(trial: &Trial<'_>, subject: &mut Subject) {
    let wide = Tensor::zeros([subject.targets.size()[0], trial.hidden_size + 1], (Kind::Float, Device::Cpu));
    let expected = format!("[.., {}]", trial.hidden_size);
    let words = ["hidden", expected.as_str()];
    says(trial, &subject.layer.loss_with(&wide, &subject.targets, &mut Subject::rng()).unwrap_err(), &words);
    says(trial, &subject.layer.log_probs(&wide).unwrap_err(), &words);
    says(trial, &subject.layer.sample(&wide, &mut Subject::rng()).unwrap_err(), &words);
    says(trial, &subject.layer.top_k(&wide, 1).unwrap_err(), &words);

    let double = subject.hidden.to_kind(Kind::Double);
    says(trial, &subject.layer.log_probs(&double).unwrap_err(), &["hidden", "Double", "Float"]);

    let short = subject.targets.narrow(0, 0, 3);
    let error = subject.layer.loss_with(&subject.hidden, &short, &mut Subject::rng()).unwrap_err();
    let given = format!("{:?}", subject.hidden.size());
    says(trial, &error, &["targets", "[3]", given.as_str(), "leading shape"]);
    let wrong_kind = subject.targets.to_kind(Kind::Float);
    let error = subject.layer.loss_with(&subject.hidden, &wrong_kind, &mut Subject::rng()).unwrap_err();
    says(trial, &error, &["targets", "Int64"]);
}

fn not_finite(trial: &Trial<'_>, subject: &mut Subject) {
    for bad in [f64::NAN, f64::INFINITY] {
        let hidden = subject.hidden.detach().copy();
        let _ = hidden.get(3).get(0).fill_(bad);
        let words = ["hidden", "row 3", "finite"];
        says(
            trial,
            &subject.layer.loss_with(&hidden, &subject.targets, &mut Subject::rng()).unwrap_err(),
            &words,
        );
        says(trial, &subject.layer.log_prob(&hidden, &subject.targets).unwrap_err(), &words);
        says(trial, &subject.layer.log_probs(&hidden).unwrap_err(), &words);
        says(trial, &subject.layer.top_k(&hidden, 1).unwrap_err(), &words);
        says(trial, &subject.layer.sample(&hidden, &mut Subject::rng()).unwrap_err(), &words);
    }
}

fn k_out_of_range(trial: &Trial<'_>, subject: &Subject) {
    for k in [0, -3, trial.vocab_size + 1] {
        let given = k.to_string();
        says(trial, &subject.layer.top_k(&subject.hidden, k).unwrap_err(), &["k is", given.as_str()]);
    }
}

/// Tensors with other strides are the same tensors.
fn strided(trial: &Trial<'_>, subject: &mut Subject) {
    let hidden = subject.hidden.detach().transpose(0, 1).contiguous().transpose(0, 1);
    let targets = Tensor::stack(&[&subject.targets, &subject.targets], 1).select(1, 0);
    assert!(!hidden.is_contiguous() && !targets.is_contiguous());
    let (plain, plain_targets) = (subject.hidden.detach(), subject.targets.shallow_clone());
    let same = |what: &str, a: &Tensor, b: &Tensor| {
        assert_close(&format!("{}: {what} of strided input", trial.name), a, b, Kind::Float, 16.0);
    };
    let layer = &subject.layer;
    let log_prob = |hidden, targets| layer.log_prob(hidden, targets).unwrap().into_tensor();
    same("log_prob", &log_prob(&hidden, &targets), &log_prob(&plain, &plain_targets));
    let best = |hidden| layer.top_k(hidden, 2).unwrap().log_probs;
    same("top_k", &best(&hidden), &best(&plain));
    let loss = |subject: &mut Subject, hidden, targets| subject.loss_of(hidden, targets).into_tensor();
    same("loss", &loss(subject, &hidden, &targets), &loss(subject, &plain, &plain_targets));
}

/// No rows have no answers, which is no error.
fn no_rows(trial: &Trial<'_>, subject: &mut Subject) {
    let (hidden, targets) = (subject.hidden.detach().narrow(0, 0, 0), subject.targets.narrow(0, 0, 0));
    let layer = &subject.layer;
    let size = |what: &str, tensor: &Tensor, expected: &[i64]| {
        assert_eq!(tensor.size(), expected, "{}: {what} of no rows", trial.name);
    };
    size("log_prob", layer.log_prob(&hidden, &targets).unwrap().tensor(), &[0]);
    size("log_probs", layer.log_probs(&hidden).unwrap().tensor(), &[0, trial.vocab_size]);
    size("top_k", &layer.top_k(&hidden, 1).unwrap().ids, &[0, 1]);
    size("sample", &layer.sample(&hidden, &mut Subject::rng()).unwrap(), &[0]);
    let loss = subject.loss_of(&hidden, &targets);
    assert_eq!(loss.value().unwrap(), 0.0, "{}: loss of no rows", trial.name);
}

fn options(trial: &Trial<'_>) {
    let smoothing = LossOptions { label_smoothing: 1.0, ..LossOptions::default() };
    says(trial, &trial.try_build(Kind::Float, smoothing).unwrap_err(), &["label_smoothing"]);
    let too_few = LossOptions { class_weights: Some(vec![1.0; 2]), ..LossOptions::default() };
    says(trial, &trial.try_build(Kind::Float, too_few).unwrap_err(), &["class_weights"]);
    let mut weights = vec![1.0; trial.vocab_size as usize];
    weights[1] = -2.0;
    let negative = LossOptions { class_weights: Some(weights), ..LossOptions::default() };
    says(trial, &trial.try_build(Kind::Float, negative).unwrap_err(), &["class_weights"]);
}
