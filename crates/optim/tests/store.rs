//! An optimizer made from a variable store.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{AdamConfig, Optimizer, OptimizerConfig};
use tch::{Device, Kind, Tensor, nn};

fn store() -> nn::VarStore {
    let store = nn::VarStore::new(Device::Cpu);
    for name in ["zeta", "alpha", "middle"] {
        let _ = store.root().ones(name, &[2, 3]);
    }
    let _ = store.root().ones_no_train("running_mean", &[3]);
    store
}

#[test]
fn for_store_takes_trainable_variables_sorted_by_name() {
    let store = store();
    let optimizer = Optimizer::for_store(&store, &OptimizerConfig::default()).unwrap();
    let names: Vec<String> = optimizer.parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["alpha", "middle", "zeta"]);
}

#[test]
fn for_store_steps_as_the_same_parameters_by_hand() {
    let config = OptimizerConfig::Adam(AdamConfig::default());
    let (ours, by_hand) = (store(), store());
    let mut parameters: Vec<(String, Tensor)> = by_hand.variables().into_iter().collect();
    parameters.retain(|(_, tensor)| tensor.requires_grad());
    let mut optimizers =
        [Optimizer::for_store(&ours, &config).unwrap(), Optimizer::new(parameters, &config).unwrap()];
    for (store, optimizer) in [&ours, &by_hand].into_iter().zip(&mut optimizers) {
        for step in 0..3 {
            optimizer.zero_grad().unwrap();
            let variables = store.variables();
            let loss =
                &variables["alpha"] * &variables["zeta"] + variables["middle"].square() * f64::from(step);
            loss.sum(Kind::Float).backward();
            let norm = optimizer.clip_grad_norm(0.5).unwrap();
            assert!(norm > 0.5);
            optimizer.step(0.1).unwrap();
        }
    }
    let by_hand = by_hand.variables();
    for (name, tensor) in ours.variables() {
        assert_eq!(tensor, by_hand[&name], "{name}");
    }
    assert!(ours.variables()["alpha"].double_value(&[0, 0]) < 1.0);
}
