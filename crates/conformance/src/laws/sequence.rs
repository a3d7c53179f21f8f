//! Laws of losses without a caller's generator: the `n`-th one draws from the generator of `n`, and
//! a layer that says it draws nothing draws nothing.

use lexmax_kernels::seed::generator;
use lexmax_output::LossOptions;
use tch::Kind;

use crate::subject::{SEED, Subject, Trial};

pub(crate) fn check(trial: &Trial<'_>) {
    let subject = trial.subject(Kind::Double, LossOptions::default());
    let of_call = |subject: &Subject| {
        let loss = subject.layer.loss(&subject.hidden, &subject.targets);
        loss.unwrap().value().unwrap()
    };
    let of_index = |index: u64| {
        let rng = &mut generator(SEED, "negatives", index);
        subject.layer.loss_with(&subject.hidden, &subject.targets, rng).unwrap().value().unwrap()
    };
    let name = trial.name;
    let Some(draws) = subject.layer.draws() else {
        assert_eq!(of_index(0), of_index(1), "{name}: `draws` is none, but the loss draws");
        assert_eq!(of_call(&subject), of_index(0), "{name}: the loss without a generator");
        return;
    };
    assert_eq!(draws.calls(), 0, "{name}: a new layer has been called");
    for index in 0..3 {
        assert_eq!(of_call(&subject), of_index(index), "{name}: call {index}");
    }
    let short = subject.targets.narrow(0, 0, 3);
    assert!(subject.layer.loss(&subject.hidden, &short).is_err(), "{name}: targets of other rows");
    assert_eq!(draws.calls(), 3, "{name}: a call that failed, or had a generator, was counted");
    assert_eq!(of_call(&subject), of_index(3), "{name}: after a call that failed");

    let resumed = trial.subject(Kind::Double, LossOptions::default());
    resumed.layer.draws().unwrap().resume_at(3);
    assert_eq!(of_call(&resumed), of_index(3), "{name}: a resumed layer");
}
