//! Laws of the distribution: probabilities sum to 1, `log_prob` is an entry of `log_probs`, rows
//! are independent, the exact top-k is the top of the dense row.

use tch::{Kind, Tensor};

use crate::compare::{assert_close, epsilon};
use crate::subject::{Subject, Trial};
use lexmax_output::LossOptions;

const KINDS: [Kind; 3] = [Kind::Double, Kind::Float, Kind::BFloat16];

pub(crate) fn check(trial: &Trial<'_>) {
    for kind in KINDS {
        let subject = trial.subject(kind, LossOptions::default());
        let dense = subject.layer.log_probs(&subject.hidden).unwrap().into_tensor();
        assert_eq!(
            dense.size(),
            [subject.hidden.size()[0], trial.vocab_size],
            "{}: log_probs shape",
            trial.name
        );
        normalised(trial, &dense, kind);
        entry_at_target(trial, &subject, &dense, kind);
        rows_permute(trial, &subject, kind);
        top_k(trial, &subject, &dense, kind);
    }
}

fn normalised(trial: &Trial<'_>, dense: &Tensor, kind: Kind) {
    let total = dense.to_kind(Kind::Double).logsumexp([-1_i64].as_slice(), false);
    let zero = total.zeros_like();
    // Half precision is normalised in f32, and answered so.
    let kind = if kind == Kind::BFloat16 { Kind::Float } else { kind };
    assert_eq!(dense.kind(), kind, "{}: kind of log_probs", trial.name);
    assert_close(&format!("{}: log of the sum of all probabilities", trial.name), &total, &zero, kind, 64.0);
    let largest = dense.max().double_value(&[]);
    assert!(largest <= 8.0 * epsilon(kind), "{}: a probability above 1 (log {largest})", trial.name);
}

fn entry_at_target(trial: &Trial<'_>, subject: &Subject, dense: &Tensor, kind: Kind) {
    let entry = dense.gather(1, &subject.targets.unsqueeze(1), false).squeeze_dim(1);
    let log_prob = subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap();
    assert_close(
        &format!("{}: log_prob against log_probs", trial.name),
        log_prob.tensor(),
        &entry,
        kind,
        64.0,
    );
}

fn rows_permute(trial: &Trial<'_>, subject: &Subject, kind: Kind) {
    let rows = subject.hidden.size()[0];
    let order = Tensor::from_slice(&(0..rows).map(|row| (row * 7 + 3) % rows).collect::<Vec<_>>());
    let (hidden, targets) = (subject.hidden.index_select(0, &order), subject.targets.index_select(0, &order));
    let straight = subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap().into_tensor();
    let permuted = subject.layer.log_prob(&hidden, &targets).unwrap().into_tensor();
    let what = format!("{}: log_prob of permuted rows", trial.name);
    assert_close(&what, &permuted, &straight.index_select(0, &order), kind, 16.0);
}

fn top_k(trial: &Trial<'_>, subject: &Subject, dense: &Tensor, kind: Kind) {
    for k in [1, 5.min(trial.vocab_size), trial.vocab_size] {
        let top = subject.layer.top_k(&subject.hidden, k).unwrap();
        let (expected, _) = dense.topk(k, -1, true, true);
        let what = format!("{}: top-{k} log-probabilities", trial.name);
        assert_close(&what, &top.log_probs, &expected, kind, 64.0);
        // Ids may differ where two classes tie to rounding: what they stand for may not.
        let stands_for = dense.gather(1, &top.ids, false);
        assert_close(&format!("{}: top-{k} ids", trial.name), &stands_for, &expected, kind, 64.0);
        let (sorted, _) = top.ids.sort(1, false);
        let repeats = sorted.diff(1, 1, None::<Tensor>, None::<Tensor>).eq(0).any().int64_value(&[]);
        assert!(k == 1 || repeats == 0, "{}: top-{k} names a class twice", trial.name);
    }
}
