//! The sampled softmax as an estimator: the mean of its gradients tends to the gradient of the full
//! softmax.

use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, OutputLayer, WordCounts};
use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::{
    NegativeSets, Negatives, Objective, Proposal, ProposalKind, Sampled, SampledConfig, Sampler,
};
use tch::{Device, Kind, Tensor, nn};

use crate::fixture::{FixedProposal, normal};

const V: i64 = 12;
/// A class of probability 0.2, which draws with replacement hold many times.
const TARGET: i64 = 4;
/// Rows of one batch, all alike: with negatives of its own for each row, its mean gradient is a
/// mean of estimates.
const ROWS: i64 = 4000;

fn weight() -> Tensor {
    normal("weight", &[V, 3], 0.8)
}

fn hidden_row() -> Tensor {
    normal("row", &[1, 3], 1.0)
}

fn batch() -> (Tensor, Tensor) {
    (hidden_row().repeat([ROWS, 1]), Tensor::full([ROWS], TARGET, (Kind::Int64, Device::Cpu)))
}

fn full_gradient() -> Tensor {
    let weight = weight().set_requires_grad(true);
    let loss = -hidden_row().linear(&weight, None::<&Tensor>).log_softmax(-1, None).select(1, TARGET);
    loss.sum(Kind::Double).backward();
    weight.grad()
}

/// Distance of a mean gradient from the full one, relative.
fn bias(gradient: &Tensor) -> f64 {
    let full = full_gradient();
    (gradient - &full).norm().double_value(&[]) / full.norm().double_value(&[])
}

/// The law under test, on biases at growing `S`: they shrink to a small share.
fn tends_to_full(biases: &[f64]) -> bool {
    let (first, last) = (biases[0], biases[biases.len() - 1]);
    last < 0.05 && last < 0.2 * first
}

fn bias_of_layer(config: &SampledConfig) -> f64 {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let counts = WordCounts::new((0..V as u64).map(|id| 60 / (id + 3)).collect()).unwrap();
    let mut context = BuildContext::new(store.root(), V, 3, 1);
    context.counts = Some(&counts);
    let config = SampledConfig { bias: false, negatives: NegativeSets::PerRow, ..config.clone() };
    let layer = Sampled::new(&context, &config).unwrap();
    let mut variable = store.variables()["weight"].shallow_clone();
    tch::no_grad(|| variable.copy_(&weight()));
    let (hidden, targets) = batch();
    layer.loss_with(&hidden, &targets, &mut generator(4, "negatives", 0)).unwrap().backward().unwrap();
    bias(&variable.grad())
}

#[test]
fn the_gradient_tends_to_the_full_one() {
    for proposal in [ProposalKind::Uniform, ProposalKind::LogUniform, ProposalKind::Unigram] {
        for remove_accidental_hits in [true, false] {
            for (unique, grid) in [(false, [3, 30, 150]), (true, [3, 8, 12])] {
                if unique && !remove_accidental_hits {
                    // A target that is there twice is not the full softmax, however many are drawn.
                    continue;
                }
                let biases = grid.map(|samples| {
                    let samples = Some(samples);
                    let config = SampledConfig {
                        proposal,
                        remove_accidental_hits: Some(remove_accidental_hits),
                        unique,
                        samples,
                        ..SampledConfig::default()
                    };
                    bias_of_layer(&config)
                });
                assert!(
                    tends_to_full(&biases),
                    "{proposal:?}, unique {unique}, removed {remove_accidental_hits}: {biases:?}"
                );
            }
        }
    }
}

/// Biases of the layer's estimator with log expected counts that the caller distorts.
fn biases_with(log_target_count: impl Fn(f64, f64) -> f64, log_count: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let (hidden, targets) = batch();
    [3_i64, 30, 150]
        .into_iter()
        .map(|samples| {
            let proposal = LogUniform::new(V).unwrap();
            let ids = proposal.draws(&mut generator(4, "negatives", 0), (ROWS * samples) as usize);
            let s = samples as f64;
            let logs: Vec<f64> = ids.iter().map(|&id| log_count(s, proposal.prob(id))).collect();
            let negatives = Negatives {
                ids: Tensor::from_slice(&ids).view([ROWS, samples]),
                log_expected_count: Tensor::from_slice(&logs).view([ROWS, samples]),
                target_log_expected_count: Tensor::full(
                    [ROWS],
                    log_target_count(s, proposal.prob(TARGET)),
                    (Kind::Double, Device::Cpu),
                ),
                in_batch: false,
            };
            let weight = weight().set_requires_grad(true);
            let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
            let rows = loss_rows(Objective::SampledSoftmax, &scored, &negatives, true).unwrap();
            rows.mean(Kind::Double).backward();
            bias(&weight.grad())
        })
        .collect()
}

#[test]
fn a20_02_log_q_sign() {
    let drawn = |s: f64, q: f64| (s * q).ln();
    let included = |s: f64, q: f64| (1.0 - (1.0 - q).powf(s)).ln();
    let right = biases_with(included, drawn);
    assert!(tends_to_full(&right), "{right:?}");
    let wrong_sign = biases_with(|s, q| -included(s, q), |s, q| -drawn(s, q));
    assert!(!tends_to_full(&wrong_sign), "the check does not see a wrong sign: {wrong_sign:?}");
    let uncorrected = biases_with(|_, _| 0.0, |_, _| 0.0);
    assert!(!tends_to_full(&uncorrected), "the check does not see a missing correction: {uncorrected:?}");
    // What the target would be given if hits were kept: with hits removed its weight falls to zero
    // as S grows.
    let target_counted_often = biases_with(drawn, drawn);
    assert!(!tends_to_full(&target_counted_often), "{target_counted_often:?}");
}

/// With `q = softmax(z)` and hits kept, all corrected logits of a row are equal: the mean gradient
/// is `S / (S + 1)` times the full one, for any `S`, so its direction has no bias.
#[test]
fn the_exact_softmax_as_proposal_has_no_bias() {
    let probs = hidden_row().linear(&weight(), None::<&Tensor>).softmax(-1, None).view([-1]);
    let probs: Vec<f64> = probs.try_into().unwrap();
    let gradient_with = |proposal: Box<dyn Proposal>, samples: usize| {
        let sampler = Sampler::new(proposal, samples, false).unwrap();
        let mut rng = generator(6, "negatives", 0);
        let (hidden, targets) = batch();
        let (mut ids, mut counts, mut of_target) = (vec![], vec![], 0.0);
        for _ in 0..ROWS {
            let drawn = sampler.draw(&mut rng);
            let count = |id: i64| drawn.expected_count.of(sampler.proposal().prob(id));
            counts.extend(drawn.ids.iter().map(|&id| count(id)));
            of_target = count(TARGET);
            ids.extend(drawn.ids);
        }
        let shape = [ROWS, samples as i64];
        let of_target = Tensor::full([ROWS], of_target, (Kind::Double, Device::Cpu));
        let negatives = Negatives::new(
            Tensor::from_slice(&ids).view(shape),
            &Tensor::from_slice(&counts).view(shape),
            &of_target,
        );
        let weight = weight().set_requires_grad(true);
        let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
        loss_rows(Objective::SampledSoftmax, &scored, &negatives.unwrap(), false)
            .unwrap()
            .mean(Kind::Double)
            .backward();
        weight.grad() * ((samples + 1) as f64 / samples as f64)
    };
    for samples in [1, 4, 16] {
        let (exact, rough) = (
            bias(&gradient_with(Box::new(FixedProposal(probs.clone())), samples)),
            bias(&gradient_with(Box::new(LogUniform::new(V).unwrap()), samples)),
        );
        assert!(exact < 0.02, "S = {samples}: {exact}");
        assert!(rough > 2.0 * exact, "S = {samples}: the check cannot tell {rough} from {exact}");
    }
}
