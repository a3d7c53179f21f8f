//! The layer's loss against a slow computation from the formulas, for every option.

use std::f64::consts::LN_2;

use lexmax_kernels::seed::generator;
use lexmax_output::{LossOptions, Reduction};
use lexmax_sampled::{ExpectedCount, NegativeSets, Objective, ProposalKind, Sampled, SampledConfig, Sampler};
use tch::{Kind, Tensor};

use crate::fixture::{Fixture, N, V, counts, proposal};

/// Loss of one row from logits of all classes: negatives with their expected counts, one by one.
fn row_loss(
    objective: Objective,
    logits: &[f64],
    target: i64,
    target_count: f64,
    negatives: &[(i64, f64)],
    remove_hits: bool,
) -> f64 {
    let bare = matches!(objective, Objective::NegativeSampling | Objective::OneVsEach);
    let correction = |count: f64| if bare { 1.0 } else { count };
    let odds = |id: i64, count: f64| logits[id as usize].exp() / correction(count);
    let of_target = odds(target, target_count);
    let kept = negatives.iter().filter(|(id, _)| !(remove_hits && *id == target));
    match objective {
        Objective::SampledSoftmax => {
            -(of_target / (of_target + kept.map(|&(id, count)| odds(id, count)).sum::<f64>())).ln()
        }
        Objective::Nce | Objective::NegativeSampling => {
            let noise = kept.map(|&(id, count)| -(1.0 - odds(id, count) / (1.0 + odds(id, count))).ln());
            -(of_target / (1.0 + of_target)).ln() + noise.sum::<f64>()
        }
        Objective::OneVsEach => {
            kept.map(|&(id, count)| (1.0 + odds(id, count) / of_target).ln() / count).sum()
        }
    }
}

/// Losses of the fixture's rows, negatives drawn as the layer draws them.
fn losses(config: &SampledConfig, fixture: &Fixture) -> Vec<f64> {
    let mut logits = fixture.hidden.matmul(&fixture.variable("weight").transpose(0, 1));
    if config.bias {
        logits += fixture.variable("bias");
    }
    let logits: Vec<Vec<f64>> = logits.try_into().unwrap();
    let targets: Vec<i64> = Vec::try_from(&fixture.targets).unwrap();
    let mut rng = generator(5, "negatives", 0);
    let included = |q: f64, draws: f64| 1.0 - (1.0 - q).powf(draws);
    let once = config.objective == Objective::SampledSoftmax && config.remove_accidental_hits();
    let Some(proposal) = proposal(config, V) else {
        let q = counts(V).smoothed_probs();
        let others = (N - 1) as f64;
        return (0..N as usize)
            .map(|row| {
                let negatives: Vec<_> = (0..N as usize)
                    .filter(|&other| other != row)
                    .map(|other| (targets[other], others * q[targets[other] as usize]))
                    .collect();
                let q = q[targets[row] as usize];
                let count = if once { included(q, others) } else { others * q };
                let remove = config.remove_accidental_hits();
                row_loss(config.objective, &logits[row], targets[row], count, &negatives, remove)
            })
            .collect();
    };
    let samples = config.samples(V) as f64;
    let sampler = Sampler::new(proposal, samples as usize, config.unique).unwrap();
    let shared = sampler.draw(&mut rng.clone());
    (0..N as usize)
        .map(|row| {
            let drawn = if config.negatives == NegativeSets::Shared {
                shared.clone()
            } else {
                sampler.draw(&mut rng)
            };
            let q = |id: i64| sampler.proposal().prob(id);
            let count = |q: f64| match drawn.expected_count {
                ExpectedCount::Draws { .. } => samples * q,
                ExpectedCount::Unique { tries } => included(q, tries),
                ExpectedCount::Every => 1.0,
            };
            let negatives: Vec<_> = drawn.ids.iter().map(|&id| (id, count(q(id)))).collect();
            let target_q = q(targets[row]);
            let target_count =
                if once && !config.unique { included(target_q, samples) } else { count(target_q) };
            let remove = config.remove_accidental_hits();
            row_loss(config.objective, &logits[row], targets[row], target_count, &negatives, remove)
        })
        .collect()
}

fn all_configs() -> Vec<SampledConfig> {
    let mut configs = Vec::new();
    for objective in Objective::ALL {
        for (remove_accidental_hits, bias) in [(true, true), (false, true), (true, false)] {
            let loss = LossOptions { reduction: Reduction::None, ..LossOptions::default() };
            let base = SampledConfig {
                objective,
                remove_accidental_hits: Some(remove_accidental_hits),
                bias,
                loss,
                ..SampledConfig::default()
            };
            configs.push(SampledConfig { proposal: ProposalKind::InBatch, ..base.clone() });
            for proposal in [ProposalKind::Uniform, ProposalKind::LogUniform, ProposalKind::Unigram] {
                for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
                    // More draws than classes, then unique ones: few, nearly all, all.
                    for (unique, samples) in [(false, 30), (true, 6), (true, 21), (true, V)] {
                        let samples = Some(samples);
                        configs.push(SampledConfig { proposal, negatives, unique, samples, ..base.clone() });
                    }
                }
            }
        }
    }
    configs
}

#[test]
fn every_option_as_its_formula() {
    for config in all_configs() {
        let mut fixture = Fixture::new(&config);
        let got: Vec<f64> = fixture.loss().try_into().unwrap();
        for (row, (got, expected)) in got.into_iter().zip(losses(&config, &fixture)).enumerate() {
            assert!(
                (got - expected).abs() <= 1e-11 * expected.max(1.0),
                "row {row}: {got}, not {expected}\n{config:?}"
            );
            assert!(got >= 0.0, "row {row}: a loss of {got}\n{config:?}");
        }
    }
}

#[test]
fn every_option_changes_the_loss() {
    let base = SampledConfig { samples: Some(9), ..SampledConfig::default() };
    let unigram = SampledConfig { proposal: ProposalKind::Unigram, ..base.clone() };
    let variants = [
        base.clone(),
        SampledConfig { objective: Objective::Nce, ..base.clone() },
        SampledConfig { objective: Objective::NegativeSampling, ..base.clone() },
        SampledConfig { proposal: ProposalKind::Uniform, ..base.clone() },
        SampledConfig { proposal: ProposalKind::InBatch, samples: None, ..base.clone() },
        unigram.clone(),
        SampledConfig { power: Some(0.3), ..unigram },
        SampledConfig { samples: Some(10), ..base.clone() },
        SampledConfig { samples: None, ..base.clone() },
        SampledConfig { unique: true, ..base.clone() },
        SampledConfig { negatives: NegativeSets::PerRow, ..base.clone() },
        SampledConfig { remove_accidental_hits: Some(false), ..base.clone() },
        SampledConfig { bias: false, ..base.clone() },
        SampledConfig {
            loss: LossOptions { ignore_index: Some(4), ..LossOptions::default() },
            ..base.clone()
        },
        SampledConfig { loss: LossOptions { reduction: Reduction::Sum, ..LossOptions::default() }, ..base },
    ];
    let losses: Vec<f64> =
        variants.iter().map(|config| Fixture::new(config).loss().double_value(&[])).collect();
    for (i, a) in losses.iter().enumerate() {
        for (j, b) in losses.iter().enumerate().take(i) {
            assert!((a - b).abs() > 1e-6, "the same loss {a}:\n{:?}\n{:?}", variants[i], variants[j]);
        }
    }
}

#[test]
fn a_tied_weight_is_the_embedding() {
    let mut store = tch::nn::VarStore::new(tch::Device::Cpu);
    store.set_kind(Kind::Double);
    let mut context = lexmax_output::BuildContext::new(store.root(), V, 5, 1);
    let embedding = crate::fixture::normal("embedding", &[V, 5], 0.7).set_requires_grad(true);
    context.embedding = Some(embedding.shallow_clone());
    let config = SampledConfig { tied: true, bias: false, samples: Some(8), ..SampledConfig::default() };
    let layer = Sampled::new(&context, &config).unwrap();
    assert!(store.variables().is_empty());
    let hidden = crate::fixture::normal("hidden", &[2, 5], 1.0);
    let targets = Tensor::from_slice(&[3_i64, 8]);
    use lexmax_output::OutputLayer;
    layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap().backward().unwrap();
    assert!(embedding.grad().select(0, 3).abs().sum(Kind::Double).double_value(&[]) > 0.0);
}

#[test]
fn all_words_as_unique_negatives_give_the_full_softmax() {
    for proposal in [ProposalKind::Uniform, ProposalKind::LogUniform, ProposalKind::Unigram] {
        for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
            let loss = LossOptions { reduction: Reduction::None, ..LossOptions::default() };
            let config = SampledConfig {
                proposal,
                negatives,
                unique: true,
                samples: Some(V),
                loss,
                ..SampledConfig::default()
            };
            let mut fixture = Fixture::new(&config);
            let sampled = fixture.loss();
            use lexmax_output::OutputLayer;
            let exact = -fixture.layer.log_prob(&fixture.hidden, &fixture.targets).unwrap().into_tensor();
            let error = (&sampled - &exact).abs().max().double_value(&[]);
            assert!(error < 1e-13, "{proposal:?}: {error:e}");
            let gradient = |loss: &Tensor| {
                Tensor::run_backward(&[loss.sum(Kind::Double)], &[fixture.variable("weight")], true, false)
                    .remove(0)
            };
            let error = (gradient(&sampled) - gradient(&exact)).abs().max().double_value(&[]);
            assert!(error < 1e-13, "{proposal:?}: gradient off by {error:e}");
        }
    }
}

#[test]
fn a_batch_of_one_row_has_no_others() {
    let config = SampledConfig { proposal: ProposalKind::InBatch, ..SampledConfig::default() };
    for (objective, expected) in [(Objective::SampledSoftmax, 0.0), (Objective::NegativeSampling, LN_2)] {
        let mut fixture = Fixture::new(&SampledConfig { objective, bias: false, ..config.clone() });
        fixture.hidden = Tensor::zeros([1, 5], (Kind::Double, tch::Device::Cpu)).set_requires_grad(true);
        fixture.targets = Tensor::from_slice(&[2_i64]);
        let loss = fixture.loss();
        assert!((loss.double_value(&[]) - expected).abs() < 1e-15, "{objective:?}: {loss:?}");
        loss.backward();
        assert!(bool::try_from(fixture.variable("weight").grad().isfinite().all()).unwrap());
    }
}
