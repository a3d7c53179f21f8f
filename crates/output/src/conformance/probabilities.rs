//! Laws of the distribution: probabilities sum to 1, `log_prob` is an entry of `log_probs`, rows are independent, the
//! exact top-k is the top of the dense row.

use tch::{Kind, Tensor};

use super::subject::{Case, Subject, assert_close, epsilon};
use crate::LossOptions;

const KINDS: [Kind; 3] = [Kind::Double, Kind::Float, Kind::BFloat16];

pub(super) fn check(case: &Case<'_>) {
    for kind in KINDS {
        let subject = case.subject(kind, LossOptions::default());
        let dense = subject.layer.log_probs(&subject.hidden).unwrap().into_tensor();
        assert_eq!(
            dense.size(),
            [subject.hidden.size()[0], case.vocab_size],
            "{}: log_probs shape",
            case.name
        );
        normalised(case, &dense, kind);
        entry_at_target(case, &subject, &dense, kind);
        rows_permute(case, &subject, kind);
        top_k(case, &subject, &dense, kind);
    }
}

fn normalised(case: &Case<'_>, dense: &Tensor, kind: Kind) {
    let total = dense.to_kind(Kind::Double).logsumexp([-1_i64].as_slice(), false);
    let zero = total.zeros_like();
    // Half precision is normalised in f32, and answered so.
    let kind = if kind == Kind::BFloat16 { Kind::Float } else { kind };
    assert_eq!(dense.kind(), kind, "{}: kind of log_probs", case.name);
    assert_close(&format!("{}: log of the sum of all probabilities", case.name), &total, &zero, kind, 64.0);
    let largest = dense.max().double_value(&[]);
    assert!(largest <= 8.0 * epsilon(kind), "{}: a probability above 1 (log {largest})", case.name);
}

fn entry_at_target(case: &Case<'_>, subject: &Subject, dense: &Tensor, kind: Kind) {
    let entry = dense.gather(1, &subject.targets.unsqueeze(1), false).squeeze_dim(1);
    let log_prob = subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap();
    assert_close(
        &format!("{}: log_prob against log_probs", case.name),
        log_prob.tensor(),
        &entry,
        kind,
        64.0,
    );
}

fn rows_permute(case: &Case<'_>, subject: &Subject, kind: Kind) {
    let rows = subject.hidden.size()[0];
    let order = Tensor::from_slice(&(0..rows).map(|row| (row * 7 + 3) % rows).collect::<Vec<_>>());
    let (hidden, targets) = (subject.hidden.index_select(0, &order), subject.targets.index_select(0, &order));
    let straight = subject.layer.log_prob(&subject.hidden, &subject.targets).unwrap().into_tensor();
    let permuted = subject.layer.log_prob(&hidden, &targets).unwrap().into_tensor();
    let what = format!("{}: log_prob of permuted rows", case.name);
    assert_close(&what, &permuted, &straight.index_select(0, &order), kind, 16.0);
}

fn top_k(case: &Case<'_>, subject: &Subject, dense: &Tensor, kind: Kind) {
    for k in [1, 5.min(case.vocab_size), case.vocab_size] {
        let top = subject.layer.top_k(&subject.hidden, k).unwrap();
        let (expected, _) = dense.topk(k, -1, true, true);
        let what = format!("{}: top-{k} log-probabilities", case.name);
        assert_close(&what, &top.log_probs, &expected, kind, 64.0);
        // Ids may differ where two classes tie to rounding: what they stand for may not.
        let stands_for = dense.gather(1, &top.ids, false);
        assert_close(&format!("{}: top-{k} ids", case.name), &stands_for, &expected, kind, 64.0);
        let (sorted, _) = top.ids.sort(1, false);
        let repeats = sorted.diff(1, 1, None::<Tensor>, None::<Tensor>).eq(0).any().int64_value(&[]);
        assert!(k == 1 || repeats == 0, "{}: top-{k} names a class twice", case.name);
    }
}
