//! Law of the paths: the fused kernels, chunks of rows and plain ATen give the same loss and the
//! same gradients, to rounding, under every shared option.

use tch::Kind;

use crate::compare::{assert_close, dense_gradient};
use crate::normal;
use crate::subject::{ROWS, Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};

pub(crate) fn check(trial: &Trial<'_>) {
    let half = (trial.compute == Compute::Chunked).then_some(Kind::BFloat16);
    for kind in [Kind::Double, Kind::Float].into_iter().chain(half) {
        for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
            for weighted in [false, true] {
                for label_smoothing in [0.0, 0.15] {
                    let weights = || (0..trial.vocab_size).map(|id| 0.5 + (id % 3) as f64).collect();
                    let class_weights = weighted.then(weights);
                    // Two rows of the batch have it.
                    let ignore_index = Some((trial.vocab_size - 1) / 2);
                    let options = LossOptions { ignore_index, reduction, label_smoothing, class_weights };
                    let refused = (weighted && trial.refuses("class_weights"))
                        || (label_smoothing > 0.0 && trial.refuses("label_smoothing"));
                    if !refused {
                        agree(trial, kind, &options);
                    }
                }
            }
        }
    }
}

fn agree(trial: &Trial<'_>, kind: Kind, options: &LossOptions) {
    let run = |path| {
        let mut subject: Subject = trial.build_on(path, kind, options.clone()).unwrap();
        let ignored = subject.targets.eq(options.ignore_index.unwrap()).sum(Kind::Int64).int64_value(&[]);
        assert!((1..ROWS).contains(&ignored), "{}: {ignored} rows are ignored", trial.name);
        let loss = subject.loss();
        let upstream = normal(&mut generator(6, "upstream", 0), &[ROWS], 1.0).to_kind(kind);
        let total = match options.reduction {
            Reduction::None => (loss.tensor() * upstream).sum(None::<Kind>),
            _ => loss.tensor() * 1.5,
        };
        total.backward();
        (loss.is_exact(), loss.into_tensor().detach(), subject)
    };
    let (reference, tested) = (run(Compute::Reference), run(trial.compute));
    let what = |part: &str| {
        format!("{}: {part} on {:?} and the reference path, {options:?}", trial.name, trial.compute)
    };
    assert_eq!(reference.0, tested.0, "{}", what("exactness"));
    assert_close(&what("loss"), &tested.1, &reference.1, kind, 64.0);
    assert_close(
        &what("gradient of hidden"),
        &dense_gradient(&tested.2.hidden),
        &dense_gradient(&reference.2.hidden),
        kind,
        128.0,
    );
    for ((name, a), (_, b)) in tested.2.variables().iter().zip(reference.2.variables()) {
        assert_close(
            &what(&format!("gradient of {name}")),
            &dense_gradient(a),
            &dense_gradient(&b),
            kind,
            128.0,
        );
    }
}
