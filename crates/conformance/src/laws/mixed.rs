//! Law of mixed precision: with products in bf16 a layer trains on the loss and the gradients of
//! full precision, to the rounding of bf16, and answers queries as if it had none of it; or it
//! refuses them by name.

use lexmax_kernels::product::Precision;
use lexmax_output::{LossOptions, OutputError};
use tch::Kind;

use super::paths::{Trained, shared_options};
use crate::compare::difference;
use crate::subject::{Subject, Trial};

pub(crate) fn check(trial: &Trial<'_>) {
    let mixed = Trial { precision: Precision::Bf16, ..*trial };
    let full = Trial { precision: Precision::Full, ..*trial };
    for options in shared_options(trial) {
        let subject = match mixed.try_build(Kind::Float, options.clone()) {
            Ok(subject) => subject,
            Err(OutputError::Refused { option, .. }) => {
                assert_eq!(option, "bf16 products", "{}: what is refused", trial.name);
                return;
            }
            Err(other) => panic!("{}: products in bf16: {other}", trial.name),
        };
        let what = format!("{}: products in bf16, {options:?}", trial.name);
        let rounded = Trained::of(trial, subject, &options);
        let exact = Trained::new(&full, Kind::Double, &options);
        rounded.agrees(&exact, &what, Kind::BFloat16, [2.0, 2.0]);
        assert!(
            rounded.loss != Trained::new(&full, Kind::Float, &options).loss,
            "{what}: nothing is rounded"
        );
    }
    let of = |trial: &Trial<'_>| {
        let Subject { layer, hidden, targets, .. } = &trial.subject(Kind::Float, LossOptions::default());
        layer.log_prob(hidden, targets).unwrap().into_tensor()
    };
    let off = difference(&of(&mixed), &of(&full));
    assert!(off == 0.0, "{}: log_prob of a layer with products in bf16 is off by {off:e}", trial.name);
}
