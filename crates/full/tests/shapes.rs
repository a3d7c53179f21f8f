//! Answers of any leading shape as values: losses that are no scalar, and log-probabilities that a
//! perplexity may be made of.
#![allow(clippy::unwrap_used)]

use lexmax_full::prelude::*;
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 7;
const D: i64 = 3;

fn layer(reduction: Reduction) -> Full {
    let store = nn::VarStore::new(Device::Cpu);
    let config =
        FullConfig { loss: LossOptions { reduction, ..LossOptions::default() }, ..FullConfig::default() };
    // A reference to a path is taken as a path is.
    let root = store.root();
    let layer = Full::new(&BuildContext::new(&root, V, D, 1), &config).unwrap();
    assert!(root.get("weight").is_some());
    layer
}

fn batch() -> (Tensor, Tensor) {
    let hidden = lexmax_conformance::wave(&[2, 3, D], 0.3, 1.0).to_kind(Kind::Float);
    (hidden, Tensor::from_slice(&[0_i64, 6, 1, 2, 2, 5]).view([2, 3]))
}

#[test]
fn log_prob_of_texts_has_one_value_a_target_in_order() {
    let (hidden, targets) = batch();
    let layer = layer(Reduction::Mean);
    let log_prob = layer.log_prob(&hidden, &targets).unwrap();
    assert_eq!(log_prob.tensor().size(), [2, 3]);
    let nll = ExactNll::of_targets(&log_prob).unwrap();
    let expected: Vec<f64> = log_prob.tensor().flatten(0, 1).to_kind(Kind::Double).try_into().unwrap();
    assert_eq!(nll.iter().map(|nll| -nll.nats()).collect::<Vec<_>>(), expected);
    let mean = nll.into_iter().sum::<ExactNll>().mean();
    assert!((mean - layer.loss(&hidden, &targets).unwrap().value().unwrap()).abs() < 1e-5);
}

#[test]
fn log_probs_of_one_state_make_no_perplexity() {
    let (hidden, targets) = batch();
    let (layer, state) = (layer(Reduction::Mean), hidden.get(0).get(0));
    let all = layer.log_probs(&state).unwrap();
    assert_eq!(all.tensor().size(), [V]);
    let error = ExactNll::of_targets(&all).unwrap_err().to_string();
    assert!(error.contains("[7]") && error.contains("log_prob"), "{error}");
    let of_target = layer.log_prob(&state, &targets.get(0).get(1)).unwrap();
    assert_eq!(of_target.tensor().size(), [0_i64; 0]);
    assert_eq!(ExactNll::of_targets(&of_target).unwrap().len(), 1);
}

#[test]
fn backward_of_one_loss_a_target_is_refused() {
    let (hidden, targets) = batch();
    let loss = layer(Reduction::None).loss(&hidden, &targets).unwrap();
    assert_eq!(loss.tensor().size(), [2, 3]);
    let error = loss.backward().unwrap_err().to_string();
    assert!(error.contains("[2, 3]") && error.contains("a scalar"), "{error}");
    layer(Reduction::Sum).loss(&hidden, &targets).unwrap().backward().unwrap();
}

#[test]
fn hidden_states_without_a_width_are_refused() {
    let (_, targets) = batch();
    let layer = layer(Reduction::Mean);
    for shape in [&[][..], &[D + 1], &[2, 3, D + 1], &[2, 3, D, 1]] {
        let hidden = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let error = layer.loss(&hidden, &targets).unwrap_err().to_string();
        assert!(error.contains("expected [.., 3]") && error.contains("full.loss"), "{shape:?}: {error}");
    }
}
