//! Laws of leading shapes: hidden states `[.., D]` have the answers of their rows, bit for bit.

use lexmax_output::{LossOptions, OutputError, OutputLayer, Reduction};
use tch::{Kind, Tensor};

use crate::subject::{Subject, Trial};

/// Rows of a batch that has several leading shapes.
const ROWS: i64 = 6;
const BEST: i64 = 3;

pub(crate) fn check(trial: &Trial<'_>) {
    for kind in [Kind::Double, Kind::Float, Kind::BFloat16] {
        for reduction in [Reduction::Mean, Reduction::None] {
            let subject = trial.subject(kind, LossOptions { reduction, ..LossOptions::default() });
            for (leading, rows) in [(&[2, 3][..], ROWS), (&[1, 3, 2], ROWS), (&[], 1), (&[0, 4], 0)] {
                answers_are_those_of_the_rows(trial, &subject, leading, rows);
            }
            transposed(trial, &subject);
        }
    }
    other_leading_shapes(trial);
}

/// Every answer for a batch, each with its name: the loss, its gradient by the hidden states, and
/// the queries.
fn answers(layer: &dyn OutputLayer, hidden: &Tensor, targets: &Tensor) -> Vec<(&'static str, Tensor)> {
    let hidden = hidden.detach().set_requires_grad(true);
    let loss = layer.loss_with(&hidden, targets, &mut Subject::rng()).unwrap().into_tensor();
    loss.sum(None::<Kind>).backward();
    let best = layer.top_k(&hidden, BEST).unwrap();
    vec![
        ("loss", loss.detach()),
        ("gradient", hidden.grad()),
        ("log_prob", layer.log_prob(&hidden, targets).unwrap().into_tensor().detach()),
        ("log_probs", layer.log_probs(&hidden).unwrap().into_tensor().detach()),
        ("top_k", best.log_probs),
        ("ids of top_k", best.ids),
        ("sample", layer.sample(&hidden, &mut Subject::rng()).unwrap()),
    ]
}

fn answers_are_those_of_the_rows(trial: &Trial<'_>, subject: &Subject, leading: &[i64], rows: i64) {
    let (hidden, targets) = (subject.hidden.narrow(0, 0, rows), subject.targets.narrow(0, 0, rows));
    let with_width = |width: i64| leading.iter().copied().chain([width]).collect::<Vec<_>>();
    let of_rows = answers(&*subject.layer, &hidden, &targets);
    let shaped =
        answers(&*subject.layer, &hidden.reshape(with_width(trial.hidden_size)), &targets.reshape(leading));
    for ((what, of_rows), (_, shaped)) in of_rows.iter().zip(&shaped) {
        let what = format!("{}: {what} of {leading:?}", trial.name);
        let expected = match of_rows.size().as_slice() {
            [] => vec![],
            [_] => leading.to_vec(),
            [_, width, ..] => with_width(*width),
        };
        assert_eq!(shaped.size(), expected, "{what}: the shape");
        assert!(shaped.reshape(of_rows.size()).equal(of_rows), "{what}: other numbers than its rows");
    }
}

/// Batch and time exchanged, as the output of a recurrent network often is: not contiguous.
fn transposed(trial: &Trial<'_>, subject: &Subject) {
    let hidden = subject.hidden.narrow(0, 0, ROWS).reshape([2, 3, -1]).transpose(0, 1);
    let targets = subject.targets.narrow(0, 0, ROWS).reshape([2, 3]).transpose(0, 1);
    assert!(!hidden.is_contiguous() && !targets.is_contiguous());
    let strided = answers(&*subject.layer, &hidden, &targets);
    let plain = answers(&*subject.layer, &hidden.contiguous(), &targets.contiguous());
    for ((what, strided), (_, plain)) in strided.iter().zip(&plain) {
        assert!(strided.equal(plain), "{}: {what} of a transposed batch", trial.name);
    }
}

fn other_leading_shapes(trial: &Trial<'_>) {
    let subject = trial.subject(Kind::Float, LossOptions::default());
    let hidden = subject.hidden.narrow(0, 0, ROWS).reshape([2, 3, -1]);
    let targets = subject.targets.narrow(0, 0, ROWS);
    let says = |what: &str, error: &OutputError| {
        let text = error.to_string();
        for words in ["[2, 3]", "[6]", "targets", what] {
            assert!(text.contains(words), "{}: the error {text:?} does not say {words:?}", trial.name);
        }
    };
    says(".loss", &subject.layer.loss(&hidden, &targets).unwrap_err());
    says(".log_prob", &subject.layer.log_prob(&hidden, &targets).unwrap_err());
}
