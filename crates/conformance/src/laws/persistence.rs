//! Laws of the parameters: saved and loaded they give the same answer, and they are as many as the
//! layer says.

use tch::Kind;

use crate::compare::difference;
use crate::subject::{SEED, Trial};
use lexmax_output::LossOptions;

pub(crate) fn check(trial: &Trial<'_>) {
    let mut subject = trial.subject(Kind::Float, LossOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("layer.safetensors");
    subject.store.save(&file).unwrap();

    // Built from another seed: what is drawn at building and not saved would differ.
    let options = LossOptions::default();
    let mut other = trial.build_with(SEED + 1, trial.compute, Kind::Float, options).unwrap();
    for (_, variable) in other.variables() {
        let _ = tch::no_grad(|| variable.shallow_clone().zero_());
    }
    other.store.load(&file).unwrap();
    let before = subject.layer.log_probs(&subject.hidden).unwrap().into_tensor();
    let after = other.layer.log_probs(&subject.hidden).unwrap().into_tensor();
    assert_eq!(difference(&before, &after), 0.0, "{}: saved and loaded, another answer", trial.name);

    let losses = (subject.loss().value().unwrap(), {
        let (hidden, targets) = (subject.hidden.shallow_clone(), subject.targets.shallow_clone());
        other.loss_of(&hidden, &targets).value().unwrap()
    });
    assert_eq!(losses.0, losses.1, "{}: saved and loaded, another loss", trial.name);

    let parameters: u64 = subject.variables().iter().map(|(_, variable)| variable.numel() as u64).sum();
    let cost = subject.layer.cost(64);
    assert_eq!(cost.parameters, parameters, "{}: parameters by cost() and in the store", trial.name);
    assert!(cost.train.flops > 0.0 && cost.eval.flops > 0.0, "{}: cost() counts nothing", trial.name);
    assert!(cost.train.bytes > 0.0 && cost.eval.bytes > 0.0, "{}: cost() counts no bytes", trial.name);
    let twice = subject.layer.cost(128);
    assert!(twice.train.flops > cost.train.flops, "{}: cost() does not grow with the rows", trial.name);
}
