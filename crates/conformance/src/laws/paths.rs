//! Law of the paths: the fused kernels, chunks of rows and plain ATen give the same loss and the
//! same gradients, to rounding, under every shared option.

use tch::{Kind, Tensor};

use crate::compare::{assert_close, dense_gradient};
use crate::normal;
use crate::subject::{ROWS, Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};

pub(crate) fn check(trial: &Trial<'_>) {
    let half = (trial.compute == Compute::Chunked).then_some(Kind::BFloat16);
    for kind in [Kind::Double, Kind::Float].into_iter().chain(half) {
        for options in shared_options(trial) {
            let reference = Trained::new(&Trial { compute: Compute::Reference, ..*trial }, kind, &options);
            let tested = Trained::new(trial, kind, &options);
            let what = format!("{}: {:?} against the reference path, {options:?}", trial.name, trial.compute);
            tested.agrees(&reference, &what, kind, [64.0, 128.0]);
        }
    }
}

/// Every mixture of the shared options that the layer takes.
pub(super) fn shared_options(trial: &Trial<'_>) -> Vec<LossOptions> {
    let mut all = Vec::new();
    for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
        for weighted in [false, true] {
            for label_smoothing in [0.0, 0.15] {
                let weights = || (0..trial.vocab_size).map(|id| 0.5 + (id % 3) as f64).collect();
                let class_weights = weighted.then(weights);
                // Two rows of the batch have it.
                let ignore_index = Some((trial.vocab_size - 1) / 2);
                let refused = (weighted && trial.refuses("class_weights"))
                    || (label_smoothing > 0.0 && trial.refuses("label_smoothing"));
                if !refused {
                    all.push(LossOptions { ignore_index, reduction, label_smoothing, class_weights });
                }
            }
        }
    }
    all
}

/// A layer after one forward and one backward pass.
pub(super) struct Trained {
    pub exact: bool,
    pub loss: Tensor,
    pub subject: Subject,
}

impl Trained {
    pub fn new(trial: &Trial<'_>, kind: Kind, options: &LossOptions) -> Self {
        Self::of(trial, trial.subject(kind, options.clone()), options)
    }

    /// Takes both passes of a subject built with the options.
    pub fn of(trial: &Trial<'_>, mut subject: Subject, options: &LossOptions) -> Self {
        let kind = subject.hidden.kind();
        let ignored = subject.targets.eq(options.ignore_index.unwrap()).sum(Kind::Int64).int64_value(&[]);
        assert!((1..ROWS).contains(&ignored), "{}: {ignored} rows are ignored", trial.name);
        let loss = subject.loss();
        let upstream = normal(&mut generator(6, "upstream", 0), &[ROWS], 1.0).to_kind(kind);
        let total = match options.reduction {
            Reduction::None => (loss.tensor() * upstream).sum(None::<Kind>),
            _ => loss.tensor() * 1.5,
        };
        total.backward();
        Self { exact: loss.is_exact(), loss: loss.into_tensor().detach(), subject }
    }

    /// Asserts the same loss and the same gradients, to so many units of rounding.
    pub fn agrees(&self, other: &Self, what: &str, kind: Kind, [loss, gradients]: [f64; 2]) {
        assert_eq!(self.exact, other.exact, "exactness, {what}");
        assert_close(&format!("loss, {what}"), &self.loss, &other.loss, kind, loss);
        let hidden = [self, other].map(|one| dense_gradient(&one.subject.hidden));
        assert_close(&format!("gradient of hidden, {what}"), &hidden[0], &hidden[1], kind, gradients);
        for ((name, a), (_, b)) in self.subject.variables().iter().zip(other.subject.variables()) {
            let what = format!("gradient of {name}, {what}");
            assert_close(&what, &dense_gradient(a), &dense_gradient(&b), kind, gradients);
        }
    }
}
