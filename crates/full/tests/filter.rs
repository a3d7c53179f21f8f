//! Filtered gradients of the layer: the loss stays exact to the bit, gradients are near, and what
//! is left out is reported.
#![allow(clippy::unwrap_used)]

use lexmax_conformance::uniform;
use lexmax_full::{Full, FullConfig};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Reduction};
use tch::{Device, Kind, Tensor, nn};

const SIZES: [i64; 3] = [24, 1700, 8];

fn rng() -> Generator {
    generator(1, "negatives", 0)
}

fn values(seed: u64, shape: &[i64], scale: f64) -> Tensor {
    uniform(&mut generator(seed, "values", 0), shape, scale)
}

struct Step {
    loss: Vec<f64>,
    exact: bool,
    d_hidden: Tensor,
    d_weight: Tensor,
    left_out: Option<(f64, f64)>,
}

/// One step of a peaked layer.
fn step(config: &FullConfig, kind: Kind) -> Step {
    let [rows, classes, width] = SIZES;
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(kind);
    let layer = Full::new(&BuildContext::new(store.root(), classes, width, 4), config).unwrap();
    let weight = store.variables()["weight"].shallow_clone();
    tch::no_grad(|| weight.shallow_clone().copy_(&values(1, &[classes, width], 2.0)));
    let hidden = values(2, &[rows, width], 2.0).to_kind(kind).set_requires_grad(true);
    let targets = Tensor::from_slice(&(0..rows).map(|row| row * 71 % classes).collect::<Vec<_>>());
    assert!(layer.left_out().is_none());
    let loss = layer.loss_with(&hidden, &targets, &mut rng()).unwrap();
    let (exact, loss) = (loss.is_exact(), loss.into_tensor());
    loss.sum(kind).backward();
    let left_out = layer.left_out().map(|left_out| (left_out.dropped_mass, left_out.share_kept()));
    let mut step = Step {
        loss: Vec::new(),
        exact,
        d_hidden: hidden.grad().to_kind(Kind::Double),
        d_weight: weight.grad().to_kind(Kind::Double),
        left_out,
    };
    step.loss = loss.to_kind(Kind::Double).view(-1).try_into().unwrap();
    // No gradients, nothing left out; and no rows, nothing either.
    tch::no_grad(|| layer.loss_with(&hidden, &targets, &mut rng()).map(drop)).unwrap();
    assert!(layer.left_out().is_none() || config.loss.reduction == Reduction::None);
    let nothing = layer.loss_with(&hidden.narrow(0, 0, 0), &targets.narrow(0, 0, 0), &mut rng()).unwrap();
    assert!(nothing.tensor().sum(kind).double_value(&[]) == 0.0 && layer.left_out().is_none());
    step
}

fn off(left: &Tensor, right: &Tensor) -> f64 {
    ((left - right).norm() / right.norm()).double_value(&[])
}

#[test]
fn the_loss_is_exact_and_the_gradients_are_near() {
    for kind in [Kind::Double, Kind::Float] {
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
            let loss = LossOptions { reduction, ..LossOptions::default() };
            let plain = FullConfig { loss, ..FullConfig::default() };
            let exact = step(&plain, kind);
            assert_eq!(exact.left_out, None);
            let filtered = step(&FullConfig { gradient_filter: Some(1e-4), ..plain.clone() }, kind);
            assert!(filtered.loss == exact.loss && filtered.exact, "the loss is that without a filter");
            let (mass, share) = filtered.left_out.unwrap();
            assert!(
                mass > 0.0 && mass < 0.5 * SIZES[0] as f64 && share > 0.0 && share < 1.0,
                "{mass} {share}"
            );
            for (got, exact) in [(&filtered.d_hidden, &exact.d_hidden), (&filtered.d_weight, &exact.d_weight)]
            {
                let off = off(got, exact);
                assert!(off > 1e-7 && off < 0.1, "{reduction:?}: {off}");
            }
            let hidden_only =
                FullConfig { gradient_filter: Some(1e-4), filter_weight: false, ..plain.clone() };
            let hidden_only = step(&hidden_only, kind);
            assert!(hidden_only.d_weight == exact.d_weight, "the weight's gradient stays exact");
            assert!(off(&hidden_only.d_hidden, &filtered.d_hidden) < 1e-6);
            assert_eq!(hidden_only.left_out.unwrap().1, share);
        }
    }
}

#[test]
fn filter_that_cannot_apply_is_refused_by_name() {
    let build = |config: &FullConfig, compute, kind| {
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let context = BuildContext { compute, ..BuildContext::new(store.root(), 50, 4, 1) };
        Full::new(&context, config).map(drop).map_err(|error| error.to_string())
    };
    let filtered = FullConfig { gradient_filter: Some(1e-5), ..FullConfig::default() };
    assert_eq!(build(&filtered, Compute::Fastest, Kind::Float), Ok(()));
    let refused = |config: &FullConfig, compute, kind, words: [&str; 2]| {
        let message = build(config, compute, kind).unwrap_err();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refused(&filtered, Compute::Reference, Kind::Float, ["`gradient_filter`", "the reference path"]);
    refused(&filtered, Compute::Chunked, Kind::Float, ["`gradient_filter`", "chunked"]);
    refused(&filtered, Compute::Fastest, Kind::BFloat16, ["`gradient_filter`", "f32 or f64"]);
    for eps in [0.0, 1.0, -1e-5, f64::NAN] {
        let config = FullConfig { gradient_filter: Some(eps), ..FullConfig::default() };
        refused(&config, Compute::Fastest, Kind::Float, ["gradient_filter", "between zero and one"]);
    }
    let smoothed = LossOptions { label_smoothing: 0.1, ..LossOptions::default() };
    let config = FullConfig { loss: smoothed, ..filtered };
    refused(&config, Compute::Fastest, Kind::Float, ["`gradient_filter`", "label smoothing"]);
    let config = FullConfig { filter_weight: false, ..FullConfig::default() };
    refused(&config, Compute::Fastest, Kind::Float, ["`filter_weight`", "gradient_filter"]);
}
