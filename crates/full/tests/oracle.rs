//! The exact softmax against a slow, obvious f64 oracle, over drawn sizes, and the defects of other
//! packages that concern it, each with the defect shown to be caught.
#![allow(clippy::unwrap_used)]

use lexmax_conformance::uniform;
use lexmax_full::{Full, FullConfig};
use lexmax_kernels::logspace::log_sum_exp;
use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, LogitTransform, LossOptions, OutputLayer, Reduction};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor, nn};

struct Built {
    layer: Full,
    store: nn::VarStore,
}

fn build(sizes: (i64, i64), loss: LossOptions) -> Built {
    build_config(sizes, Kind::Double, &FullConfig { loss, ..FullConfig::default() })
}

fn build_config(sizes: (i64, i64), kind: Kind, config: &FullConfig) -> Built {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(kind);
    let context = BuildContext::new(store.root(), sizes.0, sizes.1, 4);
    let layer = Full::new(&context, config).unwrap();
    Built { layer, store }
}

fn values(seed: u64, shape: &[i64], scale: f64) -> Tensor {
    uniform(&mut generator(seed, "values", 0), shape, scale)
}

/// `f(x)` from its definition.
fn transformed(transform: LogitTransform, x: f64) -> f64 {
    match transform {
        LogitTransform::Identity => x,
        LogitTransform::SoftCap(cap) => cap * (x / cap).tanh(),
        // 2 x - log(1 + e^x), with the exponential of a number that is never above zero.
        LogitTransform::Sigsoftmax => 2.0 * x - x.max(0.0) - (-x.abs()).exp().ln_1p(),
    }
}

/// `z_c - log sum_j exp z_j`, one entry at a time.
fn oracle(hidden: &Tensor, weight: &Tensor, bias: &Tensor, transform: LogitTransform) -> Vec<Vec<f64>> {
    let (rows, width, classes) = (hidden.size()[0], hidden.size()[1], weight.size()[0]);
    let logit = |row: i64, class: i64| {
        let product: f64 =
            (0..width).map(|i| hidden.double_value(&[row, i]) * weight.double_value(&[class, i])).sum();
        transformed(transform, product + bias.double_value(&[class]))
    };
    (0..rows)
        .map(|row| {
            let logits: Vec<f64> = (0..classes).map(|class| logit(row, class)).collect();
            let normaliser = log_sum_exp(logits.iter().copied());
            logits.iter().map(|logit| logit - normaliser).collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn log_probs_equal_the_oracle(rows in 1..5_i64, width in 1..7_i64, classes in 1..40_i64, scale in 0.1..50.0_f64, capped: bool, named in prop::sample::select(LogitTransform::NAMED)) {
        let soft_cap = capped.then_some(5.0);
        let transform = if capped { LogitTransform::Identity } else { named };
        let config = FullConfig { soft_cap, transform, ..FullConfig::default() };
        let built = build_config((classes, width), Kind::Double, &config);
        let variables = built.store.variables();
        tch::no_grad(|| {
            variables["weight"].shallow_clone().copy_(&values(1, &[classes, width], scale));
            variables["bias"].shallow_clone().copy_(&values(2, &[classes], scale));
        });
        let hidden = values(3, &[rows, width], 1.0);
        let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
        let exact = oracle(&hidden, &variables["weight"], &variables["bias"], config.logit_transform());
        for (row, expected) in exact.iter().enumerate() {
            for (class, expected) in expected.iter().enumerate() {
                let got = dense.double_value(&[row as i64, class as i64]);
                prop_assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0));
            }
        }
    }
}

/// Row 10 of `docs/DEFECTS.md`: the sigmoid underflows long before its logarithm does.
#[test]
fn a20_10_sigsoftmax_computes_log_sigmoid_directly() {
    let transform = LogitTransform::Sigsoftmax;
    for kind in [Kind::Double, Kind::Float] {
        let built =
            build_config((5, 1), kind, &FullConfig { bias: false, transform, ..FullConfig::default() });
        // Class 1 is 60 nats below class 0: the sigmoid of both is one.
        let weight = Tensor::from_slice(&[1e4, 1e4 - 60.0, 0.0, -800.0, -1e4]).view([5, 1]);
        let variable = built.store.variables()["weight"].shallow_clone();
        tch::no_grad(|| variable.shallow_clone().copy_(&weight));
        let hidden = Tensor::ones([1, 1], (kind, Device::Cpu));
        let expected = &oracle(&hidden, &weight, &Tensor::zeros_like(&weight.view(-1)), transform)[0];
        assert!((expected[1] + 60.0).abs() < 1e-9);
        let roundoff = if kind == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let agrees = |log_probs: &Tensor| {
            let got: Vec<f64> = log_probs.to_kind(Kind::Double).view(-1).try_into().unwrap();
            got.iter()
                .zip(expected)
                .all(|(got, expected)| (got - expected).abs() <= 8.0 * roundoff * expected.abs().max(1.0))
        };
        assert!(agrees(&built.layer.log_probs(&hidden).unwrap().into_tensor()), "{kind:?}");
        let rng = &mut generator(1, "negatives", 0);
        let loss = built.layer.loss_with(&hidden, &Tensor::from_slice(&[4_i64]), rng).unwrap();
        loss.into_tensor().backward();
        let gradient = variable.grad();
        assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{kind:?}: {gradient}");
        // The defect: the logarithm of a sigmoid that is zero.
        let logits = variable.detach().view([1, 5]);
        assert!(!agrees(&(&logits + logits.sigmoid().log()).log_softmax(-1, kind)));
    }
}

/// Row 12 of `docs/DEFECTS.md`: `log(x + 1e-5)` gave probabilities above 1.
#[test]
fn a20_12_no_probability_above_one() {
    let built = build((5, 1), LossOptions::default());
    tch::no_grad(|| {
        let weight = Tensor::from_slice(&[1e4, 0.0, 0.0, 0.0, -1e4]).view([5, 1]);
        built.store.variables()["weight"].shallow_clone().copy_(&weight)
    });
    let hidden = Tensor::ones([1, 1], (Kind::Double, Device::Cpu));
    let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
    let at_most_one = |log_probs: &Tensor| log_probs.max().double_value(&[]) <= 0.0;
    assert!(at_most_one(&dense));
    assert_eq!(dense.double_value(&[0, 4]), -2e4);
    // The defect: a floor added inside the logarithm.
    let defect = (dense.exp() + 1e-5).log();
    assert!(!at_most_one(&defect));
}

/// Row 14: with the reduction `none` the gradient took the upstream gradient of one row for all.
#[test]
fn a20_14_each_row_has_its_own_upstream_gradient() {
    let options = LossOptions { reduction: Reduction::None, ..LossOptions::default() };
    let upstream = Tensor::from_slice(&[0.5, -2.0, 3.0]);
    let targets = Tensor::from_slice(&[0_i64, 3, 1]);
    let (hidden, weight) = (values(5, &[3, 4], 1.0), values(6, &[7, 4], 1.0));
    let gradient = |by_rows: bool| {
        let built = build((7, 4), options.clone());
        tch::no_grad(|| built.store.variables()["weight"].shallow_clone().copy_(&weight));
        let loss = built.layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap();
        let factor = if by_rows { upstream.shallow_clone() } else { upstream.get(0) };
        (loss.tensor() * factor).sum(Kind::Double).backward();
        built.store.variables()["weight"].grad()
    };
    let residual = hidden.matmul(&weight.transpose(0, 1)).softmax(-1, Kind::Double) - targets.one_hot(7);
    let expected = (residual * upstream.unsqueeze(1)).transpose(0, 1).matmul(&hidden);
    let off = |got: &Tensor| (got - &expected).abs().max().double_value(&[]);
    assert!(off(&gradient(true)) < 1e-13);
    assert!(off(&gradient(false)) > 0.1, "the check must notice one upstream gradient for all rows");
}

/// Row 18: ignored rows were counted in the denominator of the mean.
#[test]
fn a20_18_ignored_rows_are_not_in_the_mean() {
    let options = LossOptions { ignore_index: Some(2), ..LossOptions::default() };
    let hidden = values(7, &[4, 4], 1.0);
    let built = build((7, 4), options);
    let loss = |targets: &[i64]| {
        let targets = Tensor::from_slice(targets);
        let rows = targets.size()[0];
        let rng = &mut generator(1, "negatives", 0);
        built.layer.loss_with(&hidden.narrow(0, 0, rows), &targets, rng).unwrap().value().unwrap()
    };
    let (plain, padded) = (loss(&[0, 5]), loss(&[0, 5, 2, 2]));
    assert_eq!(plain, padded);
    assert!((plain - padded * 2.0 / 4.0).abs() > 0.1, "dividing by all four rows would be noticed");
    assert_eq!(loss(&[2, 2]), 0.0);
}
