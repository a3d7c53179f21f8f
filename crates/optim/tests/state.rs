//! A saved and restored optimizer goes on bit for bit, and a state that does not fit is refused by
//! name.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{AdagradConfig, AdamConfig, OptimError, Optimizer, OptimizerConfig, SgdConfig};
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn adam() -> OptimizerConfig {
    OptimizerConfig::Adam(AdamConfig::default())
}

fn momentum() -> OptimizerConfig {
    OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, ..Default::default() })
}

fn parameters() -> Vec<(String, Tensor)> {
    let ramp = |n: i64| (Tensor::arange(n, CPU) * 0.37).sin().set_requires_grad(true);
    vec![("embedding".into(), ramp(6)), ("bias".into(), ramp(3))]
}

/// Steps `from..to` of a fixed run, of which every third leaves the bias without a gradient.
fn train(optimizer: &mut Optimizer, parameters: &[(String, Tensor)], steps: std::ops::Range<i32>) {
    for t in steps {
        optimizer.zero_grad().unwrap();
        let used = if t % 3 == 2 { 1 } else { 2 };
        for (_, p) in &parameters[..used] {
            (p * f64::from(t + 1)).cos().sum(Kind::Float).backward();
        }
        optimizer.step(0.1).unwrap();
    }
}

#[test]
fn a_restored_run_goes_on_bit_for_bit() {
    let adagrad = OptimizerConfig::Adagrad(AdagradConfig::default());
    let plain = OptimizerConfig::default();
    for config in [adam(), momentum(), adagrad, plain.clone()] {
        let whole = parameters();
        let mut optimizer = Optimizer::new(clones(&whole), &config).unwrap();
        train(&mut optimizer, &whole, 0..4);
        let state = optimizer.state().unwrap();
        let resumed: Vec<(String, Tensor)> =
            whole.iter().map(|(n, p)| (n.clone(), p.detach().copy().set_requires_grad(true))).collect();
        let fresh_start: Vec<(String, Tensor)> =
            whole.iter().map(|(n, p)| (n.clone(), p.detach().copy().set_requires_grad(true))).collect();
        train(&mut optimizer, &whole, 4..9);

        let mut second = Optimizer::new(clones(&resumed), &config).unwrap();
        second.load_state(&state).unwrap();
        train(&mut second, &resumed, 4..9);
        let mut forgetful = Optimizer::new(clones(&fresh_start), &config).unwrap();
        train(&mut forgetful, &fresh_start, 4..9);
        for i in 0..2 {
            assert_eq!(whole[i].1, resumed[i].1, "{config:?}");
            assert_eq!(whole[i].1 == fresh_start[i].1, config == plain, "only plain SGD has no memory");
        }
        for ((name, a), (_, b)) in optimizer.state().unwrap().iter().zip(&second.state().unwrap()) {
            assert_eq!(a, b, "{name}");
        }
    }
}

fn clones(parameters: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    parameters.iter().map(|(name, p)| (name.clone(), p.shallow_clone())).collect()
}

#[test]
fn the_state_is_a_copy_with_full_names() {
    let named = parameters();
    let mut optimizer = Optimizer::new(clones(&named), &adam()).unwrap();
    train(&mut optimizer, &named, 0..3);
    let state = optimizer.state().unwrap();
    let names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
    let entries = ["first_moment", "second_moment", "step"];
    let expected: Vec<String> =
        ["embedding", "bias"].iter().flat_map(|p| entries.map(|e| format!("{p}/{e}"))).collect();
    assert_eq!(names, expected);
    assert_eq!((state[2].1.int64_value(&[]), state[5].1.int64_value(&[])), (3, 2));
    let before = state[0].1.copy();
    train(&mut optimizer, &named, 3..4);
    assert_eq!(state[0].1, before);
}

#[test]
fn state_that_does_not_fit_is_refused_and_changes_nothing() {
    let named = parameters();
    let mut optimizer = Optimizer::new(clones(&named), &momentum()).unwrap();
    train(&mut optimizer, &named, 0..2);
    let good = optimizer.state().unwrap();
    let with = |i: usize, entry: Tensor| {
        let mut state = clones(&good);
        state[i].1 = entry;
        state
    };

    let zeros = Tensor::zeros([6], CPU);
    let mut shape = with(0, zeros.shallow_clone());
    shape[1].1 = Tensor::zeros([4], CPU);
    let error = optimizer.load_state(&shape).unwrap_err().to_string();
    assert_eq!(error, "the state's entry bias/momentum has shape [4], expected [3]");

    let mut missing = with(0, zeros.shallow_clone());
    missing.truncate(1);
    let error = optimizer.load_state(&missing).unwrap_err().to_string();
    assert_eq!(error, "the state has no entry bias/momentum, expected one of shape [3]");

    let kind = optimizer.load_state(&with(0, Tensor::zeros([6], (Kind::Double, Device::Cpu)))).unwrap_err();
    assert!(
        matches!(&kind, OptimError::Kind { name, given: Kind::Double, .. } if name == "embedding/momentum")
    );

    let mut extra = with(0, zeros);
    extra.push(("bias/square_sum".into(), Tensor::zeros([3], CPU)));
    let unexpected = optimizer.load_state(&extra).unwrap_err();
    assert!(matches!(&unexpected, OptimError::UnexpectedState { name, .. } if name == "bias/square_sum"));
    assert!(unexpected.to_string().contains("bias/momentum, embedding/momentum"), "{unexpected}");

    for ((name, old), (_, new)) in good.iter().zip(&optimizer.state().unwrap()) {
        assert_eq!(old, new, "{name}");
    }
}

#[test]
fn unfit_parameters_are_refused_by_name() {
    let p = Tensor::zeros([2], CPU).set_requires_grad(true);
    let named = |name: &str, tensor: &Tensor| (name.to_string(), tensor.shallow_clone());
    let new = |parameters| Optimizer::new(parameters, &OptimizerConfig::default()).unwrap_err();
    let q = p.copy();
    let error = new(vec![named("w", &p), named("w", &q.detach())]);
    assert!(matches!(error, OptimError::DuplicateName { name } if name == "w"));
    let error = new(vec![named("embedding", &p), named("output", &p)]);
    assert_eq!(error.to_string(), "parameters embedding and output are the same tensor, expected it once");
    let error = new(vec![named("double", &(&p * 2.0))]);
    assert!(matches!(error, OptimError::NotLeaf { name } if name == "double"));
    let error = new(vec![named("index", &Tensor::zeros([2], (Kind::Int64, Device::Cpu)))]);
    assert!(matches!(error, OptimError::Kind { name, given: Kind::Int64, .. } if name == "index"));
    let half = Tensor::zeros([2], (Kind::Half, Device::Cpu)).set_requires_grad(true);
    let error = new(vec![named("half", &half)]).to_string();
    let expected = "half has kind Half, expected Float or BFloat16: keep parameters in f32 or bf16";
    assert_eq!(error, expected);
    let dense = Tensor::ones([2, 2], CPU);
    let odd = [
        dense.to_sparse_sparse_dim(1),
        dense.internal_to_sparse_csr(None::<i64>),
        dense.to_mkldnn(),
        Tensor::new(),
    ];
    for tensor in odd {
        let error = new(vec![named("odd", &tensor)]).to_string();
        let expected = "parameter odd is undefined or not in a strided layout, expected a dense tensor";
        assert_eq!(error, expected);
    }
}

#[test]
fn a_step_that_is_refused_is_not_counted() {
    let p = Tensor::zeros([3, 2], CPU).set_requires_grad(true);
    let mut optimizer = Optimizer::new(vec![("w".into(), p.shallow_clone())], &adam()).unwrap();
    let steps = |optimizer: &Optimizer| optimizer.state().unwrap()[2].1.int64_value(&[]);
    let backward = || {
        let ids = Tensor::from_slice(&[2_i64]);
        Tensor::embedding(&p, &ids, -1, false, true).sum(Kind::Float).backward();
    };
    backward();
    optimizer.step(0.1).unwrap();
    assert_eq!(steps(&optimizer), 1);
    // A gradient of a row that the parameter does not have, which libtorch marks as coalesced
    // unseen.
    let ids = Tensor::from_slice(&[7_i64]).unsqueeze(0);
    let bad = Tensor::internal_sparse_coo_tensor_unsafe(&ids, &Tensor::ones([1, 2], CPU), [3, 2], CPU, true);
    p.grad().set_data(&bad);
    let before = p.detach().copy();
    assert!(optimizer.step(0.1).is_err());
    assert_eq!((steps(&optimizer), p.detach()), (1, before));
    optimizer.zero_grad().unwrap();
    backward();
    optimizer.step(0.1).unwrap();
    assert_eq!(steps(&optimizer), 2);
}

#[test]
fn unfit_rates_are_refused() {
    let mut optimizer = Optimizer::new(parameters(), &OptimizerConfig::default()).unwrap();
    for rate in [-0.1, f64::NAN, f64::INFINITY] {
        let error = optimizer.step(rate).unwrap_err().to_string();
        assert_eq!(error, format!("learning_rate is {rate}, expected a finite number >= 0"));
    }
}
