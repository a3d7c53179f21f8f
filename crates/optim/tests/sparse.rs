//! Row-sparse gradients do what the dense ones would, where the rule allows it.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{AdagradConfig, AdamConfig, Optimizer, OptimizerConfig, SgdConfig, clip_grad_norm};
use tch::{Device, Kind, Tensor};

/// A backward pass through an embedding that looks some of 9 rows up, row 4 twice.
fn backward(weight: &Tensor, sparse: bool, scale: f64) {
    let rows = Tensor::from_slice(&[4i64, 1, 4, 7]);
    let looked_up = Tensor::embedding(weight, &rows, -1, false, sparse);
    (looked_up * scale).square().sum(Kind::Double).backward();
    assert_eq!(weight.grad().is_sparse(), sparse);
}

fn weight() -> Tensor {
    (Tensor::arange(27, (Kind::Double, Device::Cpu)) * 0.37).sin().view([9, 3]).set_requires_grad(true)
}

#[test]
fn sparse_steps_equal_dense_steps() {
    let sgd = OptimizerConfig::Sgd(SgdConfig::default());
    let adagrad = OptimizerConfig::Adagrad(AdagradConfig { initial_accumulator: 0.1, ..Default::default() });
    for config in [sgd, adagrad] {
        let mut ends = Vec::new();
        for sparse in [false, true] {
            let weight = weight();
            let named = vec![("weight".to_string(), weight.shallow_clone())];
            let mut optimizer =
                Optimizer::new(vec![("weight".into(), weight.shallow_clone())], &config).unwrap();
            let mut norms = Vec::new();
            for t in 1..5 {
                optimizer.zero_grad().unwrap();
                backward(&weight, sparse, f64::from(t));
                norms.push(clip_grad_norm(&named, 2.0).unwrap());
                optimizer.step(0.1).unwrap();
            }
            ends.push((weight.detach(), Tensor::from_slice(&norms)));
        }
        assert!(ends[0].0.allclose(&ends[1].0, 1e-13, 1e-15, false), "{config:?}");
        assert!(ends[0].1.allclose(&ends[1].1, 1e-13, 0.0, false), "{config:?}");
        assert_eq!(ends[1].0.get(0), weight().detach().get(0), "rows that were not looked up stay");
        assert_ne!(ends[1].0.get(4), weight().detach().get(4));
    }
}

#[test]
fn rules_that_move_every_row_refuse_sparse_gradients() {
    let refusing = [
        (OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, ..Default::default() }), "momentum"),
        (OptimizerConfig::Sgd(SgdConfig { weight_decay: 0.1, ..Default::default() }), "weight decay"),
        (OptimizerConfig::Adagrad(AdagradConfig { weight_decay: 0.1, ..Default::default() }), "weight decay"),
        (OptimizerConfig::Adam(AdamConfig::default()), "moments"),
    ];
    for (config, reason) in refusing {
        let weight = weight();
        let mut optimizer = Optimizer::new(vec![("tail".into(), weight.shallow_clone())], &config).unwrap();
        backward(&weight, true, 1.0);
        let error = optimizer.step(0.1).unwrap_err().to_string();
        assert!(error.starts_with("the gradient of tail is sparse") && error.contains(reason), "{error}");
        assert_eq!(weight.detach(), self::weight().detach());
    }
}
