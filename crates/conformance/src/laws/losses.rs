//! Laws of the training loss: what exact layers compute, what the shared options mean, what ignored
//! rows do.

use tch::{Kind, Tensor};

use crate::compare::{assert_close, dense_gradient, difference};
use crate::normal;
use crate::subject::{ROWS, Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::{LossOptions, OutputError, Reduction};

const SMOOTHING: f64 = 0.2;
const IGNORED: i64 = -100;

pub(crate) fn check(trial: &Trial<'_>) {
    for kind in [Kind::Double, Kind::Float] {
        for weighted in [false, true] {
            for smoothing in [0.0, SMOOTHING] {
                let options = options(trial, weighted, smoothing);
                if smoothing > 0.0 && trial.refuses("label_smoothing") {
                    refused(trial, kind, options, "label_smoothing");
                    continue;
                }
                if weighted && trial.refuses("class_weights") {
                    refused(trial, kind, options, "class_weights");
                    continue;
                }
                exact_formula(trial, kind, &options);
                reductions(trial, kind, &options);
                ignored_rows(trial, kind, &options);
            }
        }
        nothing_counts(trial, kind);
    }
}

fn options(trial: &Trial<'_>, weighted: bool, label_smoothing: f64) -> LossOptions {
    let weights = || (0..trial.vocab_size).map(|id| 0.25 + (id % 5) as f64 * 0.5).collect();
    LossOptions { class_weights: weighted.then(weights), label_smoothing, ..LossOptions::default() }
}

fn refused(trial: &Trial<'_>, kind: Kind, options: LossOptions, name: &str) {
    match trial.try_build(kind, options) {
        Err(OutputError::Refused { option, why, .. }) => {
            assert_eq!(option, name, "{}: refuses by another name", trial.name);
            assert!(!why.is_empty(), "{}: refuses {name} without a reason", trial.name);
        }
        other => panic!("{}: says it refuses `{name}` but gave {other:?}", trial.name),
    }
}

/// `l_i = -(1 - e) w[y_i] log p(y_i) - e/V sum_c w[c] log p(c)`, from the layer's own dense
/// log-probabilities.
fn formula(trial: &Trial<'_>, subject: &Subject, options: &LossOptions) -> Tensor {
    let dense = subject.layer.log_probs(&subject.hidden).unwrap().into_tensor().to_kind(Kind::Double);
    let ones = vec![1.0; trial.vocab_size as usize];
    let weights = Tensor::from_slice(options.class_weights.as_ref().unwrap_or(&ones));
    let weighted = &dense * &weights;
    let at_target = weighted.gather(1, &subject.targets.unsqueeze(1), false).squeeze_dim(1);
    let spread = weighted.sum_dim_intlist([-1_i64].as_slice(), false, Kind::Double) / trial.vocab_size as f64;
    -(at_target * (1.0 - options.label_smoothing) + spread * options.label_smoothing)
}

fn exact_formula(trial: &Trial<'_>, kind: Kind, options: &LossOptions) {
    let mut subject = trial.subject(kind, LossOptions { reduction: Reduction::None, ..options.clone() });
    let loss = subject.loss();
    assert_eq!(loss.tensor().size(), [ROWS], "{}: loss(none) has one entry a row", trial.name);
    if loss.is_exact() {
        let expected = formula(trial, &subject, options);
        let what = format!("{}: loss(none) against the formula, {options:?}", trial.name);
        assert_close(&what, loss.tensor(), &expected, kind, 128.0);
        rows_permute(trial, &mut subject, loss.tensor(), kind);
    } else {
        let expected = formula(trial, &subject, options);
        let off = difference(loss.tensor(), &expected);
        assert!(
            off > 1e-3,
            "{}: a loss that is the formula's to {off:.1e} calls itself a surrogate",
            trial.name
        );
        if options.class_weights.is_some() && options.label_smoothing == 0.0 {
            surrogate_is_weighted(trial, kind, options, &subject.targets, loss.tensor());
        }
    }
}

/// `l_i(w) = w[y_i] l_i` of a surrogate.
fn surrogate_is_weighted(
    trial: &Trial<'_>,
    kind: Kind,
    options: &LossOptions,
    targets: &Tensor,
    weighted: &Tensor,
) {
    let plain = LossOptions { reduction: Reduction::None, class_weights: None, ..options.clone() };
    let plain = trial.subject(kind, plain).loss().into_tensor();
    let weights = Tensor::from_slice(options.class_weights.as_ref().unwrap()).index_select(0, targets);
    let what = format!("{}: loss(none) of a surrogate with class weights", trial.name);
    assert_close(&what, weighted, &(plain * weights), kind, 64.0);
}

fn rows_permute(trial: &Trial<'_>, subject: &mut Subject, straight: &Tensor, kind: Kind) {
    let order = Tensor::from_slice(&(0..ROWS).map(|row| (row * 4 + 5) % ROWS).collect::<Vec<_>>());
    let (hidden, targets) = (subject.hidden.index_select(0, &order), subject.targets.index_select(0, &order));
    let permuted = subject.loss_of(&hidden, &targets);
    let what = format!("{}: loss(none) of permuted rows", trial.name);
    assert_close(&what, permuted.tensor(), &straight.index_select(0, &order), kind, 16.0);
}

fn reductions(trial: &Trial<'_>, kind: Kind, options: &LossOptions) {
    let value = |reduction| {
        trial
            .subject(kind, LossOptions { reduction, ..options.clone() })
            .loss()
            .tensor()
            .to_kind(Kind::Double)
    };
    let (rows, sum, mean) = (value(Reduction::None), value(Reduction::Sum), value(Reduction::Mean));
    let total = rows.sum(Kind::Double);
    assert_close(&format!("{}: sum, {options:?}", trial.name), &sum, &total, kind, 64.0);
    let subject = trial.subject(kind, LossOptions::default());
    let ones = vec![1.0; trial.vocab_size as usize];
    let weights = Tensor::from_slice(options.class_weights.as_ref().unwrap_or(&ones));
    let weight = weights.index_select(0, &subject.targets).sum(Kind::Double);
    assert_close(&format!("{}: mean, {options:?}", trial.name), &mean, &(total / weight), kind, 64.0);
}

/// Rows with the ignored target, put between the others, change neither loss nor gradient; their
/// own loss is zero.
fn ignored_rows(trial: &Trial<'_>, kind: Kind, options: &LossOptions) {
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        let options = LossOptions { ignore_index: Some(IGNORED), reduction, ..options.clone() };
        let mut plain = trial.subject(kind, options.clone());
        let plain_loss = plain.loss();
        plain_loss.tensor().sum(None::<Kind>).backward();

        let mut padded = trial.subject(kind, options);
        let mut rng = generator(3, "ignored", 0);
        // Masking by a factor of zero would not do: nothing of these rows may be looked at.
        let mut noise = normal(&mut rng, &[2, trial.hidden_size], 3.0).to_kind(kind);
        let _ = noise.get(0).get(0).fill_(f64::NAN);
        let _ = noise.get(1).get(1).fill_(f64::INFINITY);
        noise = noise.set_requires_grad(true);
        let hidden = Tensor::cat(&[&noise.narrow(0, 0, 1), &padded.hidden, &noise.narrow(0, 1, 1)], 0);
        let ignored = Tensor::from_slice(&[IGNORED]);
        let targets = Tensor::cat(&[&ignored, &padded.targets, &ignored], 0);
        let padded_loss = padded.loss_of(&hidden, &targets);
        padded_loss.tensor().sum(None::<Kind>).backward();

        let of_noise = dense_gradient(&noise).abs().max().double_value(&[]);
        assert_eq!(of_noise, 0.0, "{}: gradient of ignored rows, {reduction:?}", trial.name);
        let what = format!("{}: gradient of hidden with ignored rows, {reduction:?}", trial.name);
        let (a, b) = (dense_gradient(&padded.hidden), dense_gradient(&plain.hidden));
        assert_close(&what, &a, &b, kind, 64.0);

        let got = if reduction == Reduction::None {
            for row in [0, ROWS + 1] {
                let own = padded_loss.tensor().double_value(&[row]);
                assert_eq!(own, 0.0, "{}: loss of an ignored row", trial.name);
            }
            padded_loss.tensor().narrow(0, 1, ROWS)
        } else {
            padded_loss.tensor().shallow_clone()
        };
        let what = format!("{}: loss with ignored rows, {reduction:?}", trial.name);
        assert_close(&what, &got, plain_loss.tensor(), kind, 16.0);
        for ((name, a), (_, b)) in padded.variables().iter().zip(plain.variables()) {
            let what = format!("{}: gradient of {name} with ignored rows, {reduction:?}", trial.name);
            assert_close(&what, &dense_gradient(a), &dense_gradient(&b), kind, 64.0);
        }
    }
}

/// A batch in which every row is ignored has loss zero and gradients zero, not NaN; its backward
/// pass runs, for hidden states that need no gradient too.
fn nothing_counts(trial: &Trial<'_>, kind: Kind) {
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for trains_hidden in [true, false] {
            let options = LossOptions { ignore_index: Some(IGNORED), reduction, ..LossOptions::default() };
            let mut subject = trial.subject(kind, options);
            let exact = subject.loss().is_exact();
            let targets = Tensor::full([ROWS], IGNORED, (Kind::Int64, tch::Device::Cpu));
            let mut hidden = subject.hidden.detach();
            hidden = hidden.set_requires_grad(trains_hidden);
            let loss = subject.loss_of(&hidden, &targets);
            let what =
                |part: &str| format!("{}: {part} when every row is ignored, {reduction:?}", trial.name);
            assert_eq!(loss.is_exact(), exact, "{}", what("exactness"));
            assert_eq!(loss.tensor().abs().sum(Kind::Double).double_value(&[]), 0.0, "{}", what("loss"));
            loss.into_tensor().sum(None::<Kind>).f_backward().unwrap();
            let all = subject.variables().into_iter().chain(trains_hidden.then(|| ("hidden".into(), hidden)));
            for (name, variable) in all {
                let gradient = dense_gradient(&variable);
                let zero = !gradient.defined() || gradient.abs().max().double_value(&[]) == 0.0;
                assert!(zero, "{} of {name}", what("gradient"));
            }
        }
    }
}
