//! NCE, negative sampling and one-vs-each as estimators: the mean of their gradients over draws is
//! the gradient of the expected loss, `log(1 + exp(-u_y)) + sum_c E_c log(1 + exp(u_c))` and
//! `sum_c log(1 + exp(z_c - z_y))`.

use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, OutputLayer};
use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::{ExpectedCount, NegativeSets, Objective, Proposal, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::fixture::normal;

const V: i64 = 12;
/// A class of probability 0.09, so that there are hits.
const TARGET: i64 = 4;
/// Rows of one batch, all alike, each with negatives of its own: the mean gradient is a mean of as
/// many estimates.
const ROWS: i64 = 8000;

const OBJECTIVES: [Objective; 3] = [Objective::Nce, Objective::NegativeSampling, Objective::OneVsEach];

fn weight() -> Tensor {
    normal("weight", &[V, 3], 0.8)
}

fn hidden() -> Tensor {
    normal("row", &[1, 3], 1.0)
}

fn config(objective: Objective, remove: bool, unique: bool, samples: i64) -> SampledConfig {
    SampledConfig {
        objective,
        remove_accidental_hits: Some(remove),
        unique,
        samples: Some(samples),
        bias: false,
        negatives: NegativeSets::PerRow,
        ..SampledConfig::default()
    }
}

/// Mean gradient of the weight over the draws of a layer.
fn drawn(config: &SampledConfig) -> Tensor {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let layer = Sampled::new(&BuildContext::new(store.root(), V, 3, 1), config).unwrap();
    let mut variable = store.variables()["weight"].shallow_clone();
    tch::no_grad(|| variable.copy_(&weight()));
    let targets = Tensor::full([ROWS], TARGET, (Kind::Int64, Device::Cpu));
    let hidden = hidden().repeat([ROWS, 1]);
    layer.loss_with(&hidden, &targets, &mut generator(4, "negatives", 0)).unwrap().backward().unwrap();
    variable.grad()
}

/// Gradient of the expected loss, with every class as often among the negatives as `law` says.
fn expected(objective: Objective, remove: bool, law: impl Fn(f64) -> f64) -> Tensor {
    let proposal = LogUniform::new(V).unwrap();
    let counts: Vec<f64> = (0..V).map(|c| law(proposal.prob(c))).collect();
    let counts = Tensor::from_slice(&counts);
    let seen = Tensor::arange(V, (Kind::Int64, Device::Cpu)).ne(TARGET).to_kind(Kind::Double);
    let seen = if remove { seen } else { seen.ones_like() };
    let weight = weight().set_requires_grad(true);
    let logits = weight.matmul(&hidden().view([3]));
    let soft_plus = |x: &Tensor| -(-x).log_sigmoid();
    let loss = match objective {
        Objective::OneVsEach => (soft_plus(&(&logits - logits.get(TARGET))) * seen).sum(None),
        _ => {
            let u = if objective == Objective::Nce { &logits - counts.log() } else { logits };
            soft_plus(&-u.get(TARGET)) + (soft_plus(&u) * counts * seen).sum(None)
        }
    };
    loss.backward();
    weight.grad()
}

/// Distance of a gradient from the expected one, relative.
fn distance(gradient: &Tensor, expected: &Tensor) -> f64 {
    (gradient - expected).norm().double_value(&[]) / expected.norm().double_value(&[])
}

#[test]
fn with_replacement_the_mean_gradient_is_the_expected_one() {
    for objective in OBJECTIVES {
        for remove in [true, false] {
            for samples in [2, 8, 24] {
                let mean = drawn(&config(objective, remove, false, samples));
                let of = |factor: f64| {
                    let law = ExpectedCount::Draws { samples: samples as f64 };
                    distance(&mean, &expected(objective, remove, |q| factor * law.of(q)))
                };
                let name = format!("{objective:?}, removed {remove}, S = {samples}");
                assert!(of(1.0) < 0.03, "{name}: {}", of(1.0));
                // One-vs-each divides by the count that it expects, so no factor is in its
                // expectation.
                assert!(
                    objective == Objective::OneVsEach || of(1.3) > 0.05,
                    "{name}: the check sees nothing"
                );
            }
        }
    }
}

#[test]
fn with_all_classes_every_gradient_is_the_expected_one() {
    for objective in OBJECTIVES {
        for remove in [true, false] {
            let found =
                distance(&drawn(&config(objective, remove, true, V)), &expected(objective, remove, |_| 1.0));
            assert!(found < 1e-12, "{objective:?}, removed {remove}: {found:e}");
        }
    }
}

/// Expected counts of unique draws are an approximation: NCE and negative sampling hardly notice,
/// one-vs-each, which divides by them, does.
#[test]
fn with_unique_draws_one_vs_each_has_a_bias() {
    let proposal = LogUniform::new(V).unwrap();
    let q: Vec<f64> = (0..V).map(|c| proposal.prob(c)).collect();
    for objective in OBJECTIVES {
        for samples in [3, 6, 9] {
            let law = ExpectedCount::of_unique_draws(&q, samples as usize);
            let mean = drawn(&config(objective, false, true, samples));
            let found = distance(&mean, &expected(objective, false, |q| law.of(q)));
            let noise = if objective == Objective::OneVsEach { 0.05 } else { 0.0 };
            assert!(found < 0.15 && found > noise, "{objective:?}, S = {samples}: {found}");
        }
    }
}
