//! Optimum of each objective: at the documented one the gradient of its expected loss is zero, and
//! what the layer answers there is the distribution of the data. Nothing is drawn: sets are all
//! classes, or listed with their probabilities.

use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, OutputLayer, WordCounts};
use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::sampler::Drawn;
use lexmax_sampled::{ExpectedCount, Negatives, Objective, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::fixture::FixedProposal;

/// One class has most of it: where `p` and its odds are far apart.
const P: [f64; 4] = [0.85, 0.09, 0.04, 0.02];
const Q: [f64; 4] = [0.4, 0.3, 0.2, 0.1];

fn odds(p: f64) -> f64 {
    p / (1.0 - p)
}

pub fn kl(p: &[f64], other: &[f64]) -> f64 {
    p.iter().zip(other).map(|(p, other)| p * (p / other).ln()).sum()
}

pub fn largest(numbers: &Tensor) -> f64 {
    numbers.abs().max().double_value(&[])
}

/// The expected loss over targets from [`P`] and negatives with replacement from [`Q`], as a
/// function of the logits: every multiset of `S` draws with its probability, counted as the layer
/// counts.
struct Exact {
    objective: Objective,
    remove: bool,
    hidden: Tensor,
    targets: Tensor,
    negatives: Negatives,
    /// Probability of target and set, for each row.
    weights: Tensor,
}

impl Exact {
    fn new(objective: Objective, samples: u32, remove: bool) -> Self {
        let (mut targets, mut weights, mut sets) = (Vec::<i64>::new(), vec![], vec![]);
        let all: Vec<i64> = (0..4).collect();
        for number in 0..4_i64.pow(samples) {
            let ids: Vec<i64> = (0..samples).map(|place| number / 4_i64.pow(place) % 4).collect();
            if !ids.is_sorted() {
                continue; // Counted with the sorted one.
            }
            let orders: f64 = (1..=samples).map(f64::from).product::<f64>()
                / all.iter().map(|c| factorial(ids.iter().filter(|id| *id == c).count())).product::<f64>();
            let probability = orders * ids.iter().map(|&id| Q[id as usize]).product::<f64>();
            let drawn = Drawn { ids, expected_count: ExpectedCount::Draws { samples: f64::from(samples) } };
            let of_all = Tensor::from_slice(&all);
            sets.push(
                Negatives::of_set(drawn, &FixedProposal(Q.to_vec()), &of_all, objective, remove).unwrap(),
            );
            targets.extend(&all);
            weights.extend(P.map(|p| p * probability));
        }
        let rows = targets.len() as i64;
        let each_row = |part: fn(&Negatives) -> &Tensor| {
            let parts: Vec<Tensor> = sets.iter().map(|set| part(set).unsqueeze(0).repeat([4, 1])).collect();
            Tensor::cat(&parts, 0)
        };
        let of_targets: Vec<&Tensor> = sets.iter().map(|set| &set.target_log_expected_count).collect();
        let negatives = Negatives {
            ids: each_row(|set| &set.ids),
            log_expected_count: each_row(|set| &set.log_expected_count),
            target_log_expected_count: Tensor::cat(&of_targets, 0),
            in_batch: false,
        };
        let total: f64 = weights.iter().sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        Self {
            objective,
            remove,
            hidden: Tensor::ones([rows, 1], (Kind::Double, Device::Cpu)),
            targets: Tensor::from_slice(&targets),
            negatives,
            weights: Tensor::from_slice(&weights),
        }
    }

    fn gradient(&self, logits: &Tensor) -> Tensor {
        let weight = logits.detach().view([4, 1]).set_requires_grad(true);
        let scored = Scored { hidden: &self.hidden, targets: &self.targets, weight: &weight, bias: None };
        let rows = loss_rows(self.objective, &scored, &self.negatives, self.remove).unwrap();
        rows.dot(&self.weights).backward();
        weight.grad().view([4])
    }

    /// Nats between the data and the softmax at the optimum.
    fn kl_at_optimum(&self) -> f64 {
        let mut logits = Tensor::from_slice(&P).log();
        for _ in 0..600 {
            logits = &logits - self.gradient(&logits) * 6.0;
        }
        assert!(largest(&self.gradient(&logits)) < 1e-6, "not there yet");
        kl(&P, &Vec::<f64>::try_from(logits.softmax(-1, None)).unwrap())
    }
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|k| k as f64).product()
}

/// Whether the layer's own choice leaves hits out.
fn default_removal(objective: Objective) -> bool {
    SampledConfig { objective, ..SampledConfig::default() }.remove_accidental_hits()
}

#[test]
fn with_replacement_the_optimum_is_the_documented_one() {
    let samples = 3;
    let e = |c: usize| f64::from(samples) * Q[c];
    let log = |of: &dyn Fn(usize) -> f64| Tensor::from_slice(&[0, 1, 2, 3].map(|c| of(c).ln()));
    let by_default = |objective| Exact::new(objective, samples, default_removal(objective));
    for (name, exact, optimum) in [
        ("nce", by_default(Objective::Nce), log(&|c| P[c])),
        ("nce, no hits", Exact::new(Objective::Nce, samples, true), log(&|c| odds(P[c]))),
        ("negative sampling", by_default(Objective::NegativeSampling), log(&|c| P[c] / e(c))),
        (
            "negative sampling, no hits",
            Exact::new(Objective::NegativeSampling, samples, true),
            log(&|c| odds(P[c]) / e(c)),
        ),
        ("one-vs-each", by_default(Objective::OneVsEach), log(&|c| P[c])),
        ("one-vs-each, hits kept", Exact::new(Objective::OneVsEach, samples, false), log(&|c| P[c])),
        ("sampled softmax, hits kept", Exact::new(Objective::SampledSoftmax, samples, false), log(&|c| P[c])),
    ] {
        let gradient = largest(&exact.gradient(&optimum));
        assert!(gradient < 1e-14, "{name}: {gradient:e}");
        // A class moved by a tenth of a nat is noticed.
        let moved = &optimum + Tensor::from_slice(&[0.1, 0.0, 0.0, 0.0]);
        assert!(largest(&exact.gradient(&moved)) > 1e-4, "{name}: the check sees nothing");
    }
}

/// The counts that depart from TensorFlow's: `1 - (1 - q)^S` of a target that is in the softmax
/// once.
#[test]
fn sampled_softmax_is_closer_to_the_data_than_tensorflows() {
    for samples in [2, 4] {
        let ours = Exact::new(Objective::SampledSoftmax, samples, true);
        // As TensorFlow counts: with the law of hits that are kept.
        let theirs = Exact { remove: true, ..Exact::new(Objective::SampledSoftmax, samples, false) };
        let (ours, theirs) = (ours.kl_at_optimum(), theirs.kl_at_optimum());
        assert!(ours < 2e-4, "S = {samples}: {ours} nats");
        assert!(theirs > 20.0 * ours, "S = {samples}: {ours} against {theirs} nats");
    }
}

/// A layer whose bias alone matters, at the given logits.
pub fn layer_at(
    config: &SampledConfig,
    counts: &WordCounts,
    compute: Compute,
    logits: &Tensor,
) -> (nn::VarStore, Sampled) {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let mut context = BuildContext::new(store.root(), counts.vocab_size(), 2, 1);
    context.counts = Some(counts);
    context.compute = compute;
    let layer = Sampled::new(&context, config).unwrap();
    tch::no_grad(|| store.variables()["bias"].shallow_clone().copy_(logits));
    (store, layer)
}

/// With all classes as negatives the layer's loss is its expected loss, on either path.
#[test]
fn all_classes_as_negatives_lead_to_the_data() {
    let data = WordCounts::new(vec![85, 9, 4, 2]).unwrap();
    let targets: Vec<i64> = (0..4).flat_map(|c| vec![c; data.counts()[c as usize] as usize]).collect();
    let targets = Tensor::from_slice(&targets);
    let hidden = Tensor::zeros([100, 2], (Kind::Double, Device::Cpu));
    for compute in [Compute::Fastest, Compute::Reference] {
        for objective in Objective::ALL {
            for remove_accidental_hits in [None, Some(true)] {
                let config = SampledConfig {
                    objective,
                    remove_accidental_hits,
                    proposal: ProposalKind::Unigram,
                    samples: Some(4),
                    unique: true,
                    ..SampledConfig::default()
                };
                let binary = matches!(objective, Objective::Nce | Objective::NegativeSampling);
                let moved = binary && remove_accidental_hits == Some(true);
                let optimum = Tensor::from_slice(&P.map(|p| if moved { odds(p) } else { p })).log();
                let (store, layer) = layer_at(&config, &data, compute, &optimum);
                layer
                    .loss_with(&hidden, &targets, &mut generator(1, "negatives", 0))
                    .unwrap()
                    .backward()
                    .unwrap();
                let gradient = largest(&store.variables()["bias"].grad());
                assert!(gradient < 1e-14, "{compute:?} {config:?}: {gradient:e}");
                let answer = layer.log_probs(&hidden.narrow(0, 0, 1)).unwrap().into_tensor();
                let answer: Vec<f64> = answer.exp().view([4]).try_into().unwrap();
                let nats = kl(&P, &answer);
                assert!(if moved { nats > 0.1 } else { nats < 1e-12 }, "{compute:?} {config:?}: {nats} nats");
            }
        }
    }
}
