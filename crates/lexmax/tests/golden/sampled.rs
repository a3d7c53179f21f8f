//! `tf_*`: TensorFlow's `sampled_softmax_loss` and `nce_loss` with the classes it drew, and the
//! one-vs-each formula.

use lexmax::sampled::objective::{Scored, loss_rows};
use lexmax::sampled::{Negatives, Objective};
use tch::{Kind, Tensor};

use crate::case::Case;

pub fn check(case: &Case) {
    let objective = if case.name.contains("nce") { Objective::Nce } else { Objective::SampledSoftmax };
    assert!(case.flag("subtract_log_q"), "{}: only the corrected objectives are defined", case.name);
    let leaf = |name: &str| case.get(name).set_requires_grad(true);
    let (hidden, weight, bias) = (leaf("hidden"), leaf("weight"), leaf("bias"));
    let targets = case.get("targets");
    let (sampled, target) = (case.get("sampled_expected_count"), case.get("true_expected_count"));
    let negatives = Negatives::new(case.get("sampled"), &sampled, &target).unwrap();
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: Some(&bias) };
    let remove_hits = case.flag("remove_accidental_hits");
    let rows = loss_rows(objective, &scored, &negatives, remove_hits).unwrap();
    case.assert_close("loss of each row", &rows, &case.get("loss_per_example"));
    rows.mean(Kind::Double).backward();
    case.assert_close("gradient of hidden", &hidden.grad(), &case.get("grad_hidden"));
    case.assert_close("gradient of weight", &weight.grad(), &case.get("grad_weight"));
    case.assert_close("gradient of bias", &bias.grad(), &case.get("grad_bias"));
}

/// Given logits are seen as hidden states under an identity weight; every class is its own negative
/// once.
pub fn check_one_vs_each(case: &Case) {
    let logits = case.get("logits").set_requires_grad(true);
    let options = (Kind::Double, logits.device());
    let (rows, classes) = (logits.size()[0], logits.size()[1]);
    let (weight, targets) = (Tensor::eye(classes, options), case.get("targets"));
    let ids = Tensor::arange(classes, (Kind::Int64, logits.device()));
    let once = Tensor::ones([classes], options);
    let negatives = Negatives::new(ids, &once, &Tensor::ones([rows], options)).unwrap();
    let scored = Scored { hidden: &logits, targets: &targets, weight: &weight, bias: None };
    let loss = loss_rows(Objective::OneVsEach, &scored, &negatives, true).unwrap().mean(Kind::Double);
    case.assert_close("loss", &loss, &case.get("loss"));
    loss.backward();
    case.assert_close("gradient of logits", &logits.grad(), &case.get("grad_logits"));
}
