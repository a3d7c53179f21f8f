//! Defects that other libraries had. Each test names its row in `docs/DEFECTS.md`, and shows that
//! the defect would be seen. Row 2 (the sign of the correction) is in [`crate::estimator`].

use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::{LossOptions, OutputLayer};
use lexmax_sampled::objective::logits::{Logits, left_out};
use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::{NegativeSets, Negatives, Objective, Proposal, ProposalKind, SampledConfig, Sampler};
use tch::{Kind, Tensor};

use crate::draws::{deviation, histogram, proposals};
use crate::fixture::{D, Fixture, N, V, proposal};

#[test]
fn a20_01_declared_q_is_the_drawn_q() {
    for vocab_size in [7, 60] {
        for (name, proposal) in proposals(vocab_size) {
            let observed = histogram(&proposal.draws(&mut generator(1, name, 0), 150_000), vocab_size);
            let found = deviation(&observed, |id| proposal.prob(id));
            assert!(found < 4.0, "{name} of {vocab_size}: {found} standard deviations");
            // Off by one in the rank, and (where it matters) in the size: both are seen.
            if name == "log-uniform" {
                let shifted = deviation(&observed, |id| proposal.prob((id + 1) % vocab_size));
                let longer = LogUniform::new(vocab_size + 1).unwrap();
                let stretched = deviation(&observed, |id| longer.prob(id));
                assert!(shifted > 10.0 && (vocab_size > 7 || stretched > 10.0), "{shifted} {stretched}");
            }
        }
    }
}

/// Logits are the weights themselves: hidden states are 1.
fn hand_made(
    logits: &[f64],
    target: i64,
    ids: &[i64],
    objective: Objective,
    remove: bool,
) -> (f64, Vec<f64>) {
    let weight = Tensor::from_slice(logits).view([-1, 1]).set_requires_grad(true);
    let hidden = Tensor::from_slice(&[1.0_f64]).view([1, 1]);
    let targets = Tensor::from_slice(&[target]);
    let ones = Tensor::ones([ids.len() as i64], (Kind::Double, tch::Device::Cpu));
    let negatives = Negatives::new(Tensor::from_slice(ids), &ones, &ones.narrow(0, 0, 1)).unwrap();
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
    let loss = loss_rows(objective, &scored, &negatives, remove).unwrap().sum(Kind::Double);
    loss.backward();
    (loss.double_value(&[]), Vec::try_from(weight.grad().view([-1])).unwrap())
}

#[test]
fn a20_03_an_accidental_hit_has_no_weight() {
    // Target 2 with logit 2, negatives 0 and 1 with logits 0 and 1, the target twice among them.
    let (loss, gradient) = hand_made(&[0.0, 1.0, 2.0], 2, &[2, 0, 1, 2], Objective::SampledSoftmax, true);
    assert!((loss - 0.407_605_964_444_380).abs() < 1e-14, "{loss}"); // log(e^0 + e^1 + e^2) - 2
    let softmax = [0.090_030_573_170_380, 0.244_728_471_054_798, 0.665_240_955_774_822 - 1.0];
    for (got, expected) in gradient.iter().zip(softmax) {
        assert!((got - expected).abs() < 1e-14, "{gradient:?}");
    }
    // NCE: log(1 + e^-2) + log(1 + e^0) + log(1 + e^1), the hits nowhere.
    let (loss, _) = hand_made(&[0.0, 1.0, 2.0], 2, &[2, 0, 1, 2], Objective::Nce, true);
    assert!((loss - (0.126_928_011_042_973 + std::f64::consts::LN_2 + 1.313_261_687_518_223)).abs() < 1e-14);
    // Kept hits weigh as much as the target: what a mask that adds nothing would give.
    let (kept, _) = hand_made(&[0.0, 1.0, 2.0], 2, &[2, 0, 1, 2], Objective::SampledSoftmax, false);
    assert!((kept - 0.407_605_964_444_380).abs() > 0.5, "{kept}");
}

#[test]
fn a20_03_a_hit_is_removed_from_its_own_row_only() {
    let hidden = Tensor::from_slice(&[1.0_f64, 1.0]).view([2, 1]);
    let targets = Tensor::from_slice(&[2_i64, 0]);
    let ids = Tensor::from_slice(&[2_i64, 1]);
    let ones = Tensor::ones([2], (Kind::Double, tch::Device::Cpu));
    let negatives = Negatives::new(ids, &ones, &ones).unwrap();
    let mask = left_out(&targets, &negatives, true).unwrap().unwrap();
    assert_eq!(Vec::<Vec<bool>>::try_from(mask).unwrap(), [[true, false], [false, false]]);
    let weight = Tensor::from_slice(&[0.0_f64, 1.0, 2.0]).view([3, 1]);
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
    let rows = loss_rows(Objective::SampledSoftmax, &scored, &negatives, true).unwrap();
    assert!((rows.double_value(&[0]) - 0.313_261_687_518_223).abs() < 1e-14); // log(1 + e^-1)
    assert!((rows.double_value(&[1]) - 2.407_605_964_444_38).abs() < 1e-14); // log(1 + e^2 + e^1)
}

#[test]
fn a20_04_removed_hits_stay_finite() {
    // Every negative is a hit, logits are large: value and gradient are finite.
    for objective in Objective::ALL {
        for logit in [-1e4, 1e4] {
            let (loss, gradient) = hand_made(&[0.0, logit], 1, &[1, 1, 1], objective, true);
            assert!(
                loss.is_finite() && gradient.iter().all(|g| g.is_finite()),
                "{objective:?}: {loss} {gradient:?}"
            );
        }
    }
    // Smoothing would multiply masked logits by a share; it is refused, and the masked logits
    // survive a product by zero.
    let smoothing = LossOptions { label_smoothing: 0.1, ..LossOptions::default() };
    let error =
        Fixture::of_kind(&SampledConfig { loss: smoothing, ..SampledConfig::default() }, Kind::Double).err();
    assert!(error.unwrap().to_string().contains("the option `label_smoothing` is refused"));
    for kind in [Kind::Float, Kind::Double] {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (kind, tch::Device::Cpu));
        let logits = Logits { target: zeros(&[1]), negative: zeros(&[1, 2]) };
        let mask = Tensor::from_slice(&[true, false]).view([1, 2]);
        let masked = logits.without(Some(&mask)).unwrap().negative;
        assert_eq!((&masked * 0.0).isfinite().all().int64_value(&[]), 1);
        assert_eq!(masked.softmax(-1, None).double_value(&[0, 0]), 0.0, "the weight is zero, not small");
        let infinite = logits.negative.masked_fill(&mask, f64::NEG_INFINITY);
        assert_eq!((infinite * 0.0).isfinite().all().int64_value(&[]), 0, "the defect would be seen");
    }
}

/// A proposal that reserves id 0 and never draws it.
#[derive(Debug)]
struct Reserved;

impl Proposal for Reserved {
    fn vocab_size(&self) -> i64 {
        3
    }

    fn prob(&self, id: i64) -> f64 {
        if id == 0 { 0.0 } else { 0.5 }
    }

    fn draw(&self, _rng: &mut Generator) -> i64 {
        1
    }
}

#[test]
fn a20_05_no_class_has_probability_zero() {
    // Targets that training never saw, under every proposal: finite.
    for proposal in
        [ProposalKind::Uniform, ProposalKind::LogUniform, ProposalKind::Unigram, ProposalKind::InBatch]
    {
        for objective in Objective::ALL {
            let mut fixture =
                Fixture::new(&SampledConfig { objective, proposal, ..SampledConfig::default() });
            fixture.targets = Tensor::from_slice(&[V - 1, V - 2, V - 3, 0, V - 1, 1, V - 1]);
            assert!(fixture.loss().double_value(&[]).is_finite(), "{proposal:?} {objective:?}");
        }
    }
    let error = Sampler::new(Box::new(Reserved), 1, false).unwrap_err().to_string();
    assert!(error.contains("0 for class 0, expected a number above zero"), "{error}");
    // What q = 0 of a target does to a loss that lets it in.
    let zero = Tensor::from_slice(&[0.0_f64]);
    let ones = Tensor::ones([2], (Kind::Double, tch::Device::Cpu));
    let negatives = Negatives {
        ids: Tensor::from_slice(&[1_i64, 2]),
        log_expected_count: ones.log(),
        target_log_expected_count: zero.log(),
        in_batch: false,
    };
    let (hidden, weight) = (ones.view([1, 2]), Tensor::ones([3, 2], (Kind::Double, tch::Device::Cpu)));
    let targets = Tensor::from_slice(&[0_i64]);
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
    let corrected = Logits::new(&scored, &negatives).unwrap().corrected(&negatives).unwrap();
    assert!(!corrected.target.double_value(&[0]).is_finite());
}

#[test]
fn a20_17_every_element_type() {
    for objective in Objective::ALL {
        for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
            let config =
                SampledConfig { objective, negatives, samples: Some(12), ..SampledConfig::default() };
            let mut results = vec![];
            for (kind, tolerance) in [(Kind::Double, 0.0), (Kind::Float, 1e-6), (Kind::BFloat16, 3e-2)] {
                let mut fixture = Fixture::of_kind(&config, kind).unwrap();
                let loss = fixture.loss();
                assert_eq!(loss.kind(), kind, "{objective:?}");
                loss.backward();
                let gradient = fixture.variable("weight").grad();
                assert_eq!(gradient.kind(), kind, "{objective:?}");
                results.push((loss.to_kind(Kind::Double), gradient.to_kind(Kind::Double)));
                let (truth, got) = (&results[0], &results[results.len() - 1]);
                for (truth, got) in [(&truth.0, &got.0), (&truth.1, &got.1)] {
                    let error = (got - truth).abs().max().double_value(&[]);
                    let scale = truth.abs().max().double_value(&[]);
                    assert!(
                        error <= tolerance * scale,
                        "{objective:?} {negatives:?} {kind:?}: {error:e} of {scale:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn a20_20_training_touches_the_sampled_rows_only() {
    for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
        let config = SampledConfig { negatives, samples: Some(3), ..SampledConfig::default() };
        let mut fixture = Fixture::new(&config);
        let sampler = Sampler::new(proposal(&config, V).unwrap(), 3, false).unwrap();
        let mut rng = generator(5, "negatives", 0);
        let sets = if negatives == NegativeSets::Shared { 1 } else { N };
        let mut used: Vec<i64> = Vec::try_from(&fixture.targets).unwrap();
        (0..sets).for_each(|_| used.extend(sampler.draw(&mut rng).ids));
        let unused: Vec<i64> = (0..V).filter(|id| !used.contains(id)).collect();
        assert!(!unused.is_empty());
        // A product that touches an unused row turns the loss to NaN.
        for name in ["weight", "bias"] {
            let _ = tch::no_grad(|| {
                fixture.variable(name).index_fill_(0, &Tensor::from_slice(&unused), f64::NAN)
            });
        }
        let loss = fixture.loss();
        assert!(loss.double_value(&[]).is_finite(), "{negatives:?}");
        loss.backward();
        let gradient = fixture.variable("weight").grad().index_select(0, &Tensor::from_slice(&unused));
        assert_eq!(gradient.abs().sum(Kind::Double).double_value(&[]), 0.0);
        let poisoned = fixture.layer.log_prob(&fixture.hidden, &fixture.targets).unwrap().into_tensor();
        assert!(poisoned.isnan().all().int64_value(&[]) == 1, "an exact query would be seen");
    }
}

#[test]
fn a20_20_cost_counts_the_sampled_rows() {
    let cost = |config: &SampledConfig| Fixture::new(config).layer.cost(100);
    let base = SampledConfig { samples: Some(4), ..SampledConfig::default() };
    let (d, v) = (D as f64, V as f64);
    // Forward, then two products of gradients: 100 targets and 100 x 4 negatives, 2 D operations
    // each.
    assert_eq!(cost(&base).train.flops, 3.0 * (100.0 + 400.0) * 2.0 * d);
    assert_eq!(cost(&base).eval.flops, 100.0 * v * 2.0 * d);
    assert_eq!(cost(&base).parameters, (V * D + V) as u64);
    assert_eq!(cost(&SampledConfig { bias: false, ..base.clone() }).parameters, (V * D) as u64);
    let per_row = cost(&SampledConfig { negatives: NegativeSets::PerRow, ..base.clone() });
    assert_eq!(per_row.train.flops, cost(&base).train.flops);
    assert!(per_row.train.bytes > cost(&base).train.bytes, "every row reads its own negatives");
    let in_batch = cost(&SampledConfig { proposal: ProposalKind::InBatch, samples: None, ..base });
    assert_eq!(in_batch.train.flops, 3.0 * (100.0 + 100.0 * 100.0) * 2.0 * d);
}

#[test]
fn a20_21_draws_do_not_depend_on_threads() {
    let with_threads = |threads| {
        tch::set_num_threads(threads);
        Objective::ALL.map(|objective| {
            [NegativeSets::Shared, NegativeSets::PerRow].map(|negatives| {
                let config = SampledConfig {
                    objective,
                    negatives,
                    unique: true,
                    samples: Some(9),
                    ..SampledConfig::default()
                };
                let mut fixture = Fixture::new(&config);
                let loss = fixture.loss();
                loss.backward();
                let used = fixture.variable("weight").grad().abs().sum_dim_intlist(1, false, None).gt(0.0);
                let sampled = fixture.layer.sample(&fixture.hidden, &mut generator(9, "sample", 0)).unwrap();
                let bits = loss.double_value(&[]).to_bits();
                (bits, Vec::<bool>::try_from(used).unwrap(), Vec::<i64>::try_from(sampled).unwrap())
            })
        })
    };
    let threads = tch::get_num_threads();
    let (one, four) = (with_threads(1), with_threads(4));
    tch::set_num_threads(threads);
    assert_eq!(one, four);
}
