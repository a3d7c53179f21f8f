//! Steps and graphs: libtorch notices that a parameter was updated between the forward and the
//! backward pass.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{Optimizer, OptimizerConfig};
use tch::{Device, Kind, Tensor};

fn configs() -> Vec<OptimizerConfig> {
    [
        r#"{"kind": "sgd"}"#,
        r#"{"kind": "sgd", "momentum": 0.9}"#,
        r#"{"kind": "adagrad", "lazy": true}"#,
        r#"{"kind": "adam", "weight_decay": 0.1}"#,
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect()
}

fn optimizer(weight: &Tensor, config: &OptimizerConfig) -> Optimizer {
    Optimizer::new(vec![("w".into(), weight.shallow_clone())], config).unwrap()
}

#[test]
fn a_graph_from_before_a_step_is_refused() {
    for (config, kind) in
        configs().iter().flat_map(|config| [Kind::Float, Kind::Double, Kind::BFloat16].map(|k| (config, k)))
    {
        for sparse in [false, true] {
            let weight = (Tensor::arange(6, (kind, Device::Cpu)) + 1.0).view([3, 2]).set_requires_grad(true);
            let mut optimizer = optimizer(&weight, config);
            let squares = (&weight * &weight).sum(kind);
            let ids = Tensor::from_slice(&[2_i64, 0]);
            Tensor::embedding(&weight, &ids, -1, false, sparse).sum(kind).backward();
            assert_eq!(weight.grad().is_sparse(), sparse);
            optimizer.step(0.1).unwrap();
            let error = squares.f_backward().unwrap_err().to_string();
            assert!(
                error.contains("modified by an inplace operation"),
                "{config:?} {kind:?} {sparse}: {error}"
            );
            // A new graph has the new numbers.
            optimizer.zero_grad().unwrap();
            (&weight * &weight).sum(kind).backward();
            assert_eq!(weight.grad(), weight.detach() * 2.0);
        }
    }
}

#[test]
fn a_graph_that_is_kept_is_good_until_the_step() {
    let weight = Tensor::from_slice(&[3.0_f32, 4.0]).set_requires_grad(true);
    let mut optimizer = optimizer(&weight, &OptimizerConfig::default());
    let y = (&weight * &weight).sum(Kind::Float);
    let gradient = Tensor::run_backward(&[&y], &[&weight], true, false).remove(0);
    assert_eq!(gradient, Tensor::from_slice(&[6.0_f32, 8.0]));
    // Nothing has a gradient, so nothing is changed.
    optimizer.step(0.1).unwrap();
    (&weight * 1.0).sum(Kind::Float).backward();
    assert!(Tensor::f_run_backward(&[&y], &[&weight], true, false).is_ok());
    optimizer.step(0.1).unwrap();
    let error = Tensor::f_run_backward(&[&y], &[&weight], true, false).unwrap_err().to_string();
    assert!(error.contains("modified by an inplace operation"), "{error}");
}

#[test]
fn only_what_was_updated_is_counted() {
    let [moved, still] =
        [(); 2].map(|()| Tensor::zeros([3], (Kind::Float, Device::Cpu)).set_requires_grad(true));
    let named = vec![("moved".to_string(), moved.shallow_clone()), ("still".into(), still.shallow_clone())];
    let mut optimizer = Optimizer::new(named, &OptimizerConfig::default()).unwrap();
    moved.sum(Kind::Float).backward();
    let before = (moved.internal_version(), still.internal_version());
    optimizer.step(0.1).unwrap();
    assert_eq!((moved.internal_version(), still.internal_version()), (before.0 + 1, before.1));
}
