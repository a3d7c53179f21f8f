//! Answers of negative sampling: its logits and the expected counts that its optimum lacks, for
//! every way of drawing, at the start and in half precision.

use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, OutputLayer, WordCounts};
use lexmax_sampled::{Objective, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::optimum::{kl, largest, layer_at};

/// Probability that each class is in a set of `samples` unique draws, by way of every subset.
fn inclusion(q: &[f64], samples: u32) -> Vec<f64> {
    let mut reached = vec![0.0; 1 << q.len()];
    let mut included = vec![0.0; q.len()];
    reached[0] = 1.0;
    for set in 0..1_usize << q.len() {
        let probability: f64 = reached[set];
        let inside = |c: usize| set >> c & 1 == 1;
        if set.count_ones() == samples {
            (0..q.len()).filter(|&c| inside(c)).for_each(|c| included[c] += probability);
            continue;
        }
        let left: f64 = (0..q.len()).filter(|&c| !inside(c)).map(|c| q[c]).sum();
        (0..q.len()).filter(|&c| !inside(c)).for_each(|c| reached[set | 1 << c] += probability * q[c] / left);
    }
    included
}

#[test]
fn negative_sampling_with_unique_draws_answers_the_data() {
    // Zipf's law, and steeper: the first class has 40 and 65 percent of the draws.
    for power in [1.2, 2.0] {
        let counts: Vec<u64> = (1..=12).map(|rank| (1e9 / f64::from(rank).powf(power)) as u64).collect();
        let data = WordCounts::new(counts).unwrap();
        let q: Vec<f64> = data.smoothed_probs();
        let p: Vec<f64> = (0..12).map(|c| q[(c + 5) % 12]).collect();
        for samples in [1, 3, 6, 11] {
            let config = SampledConfig {
                objective: Objective::NegativeSampling,
                proposal: ProposalKind::Unigram,
                power: Some(1.0),
                samples: Some(i64::from(samples)),
                unique: true,
                ..SampledConfig::default()
            };
            let included = inclusion(&q, samples);
            let optimum: Vec<f64> = (0..12).map(|c| (p[c] / included[c]).ln()).collect();
            let hidden = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
            let mut found = 0.0_f64;
            for compute in [Compute::Fastest, Compute::Reference] {
                let (_store, layer) = layer_at(&config, &data, compute, &Tensor::from_slice(&optimum));
                let answer = layer.log_probs(&hidden).unwrap().into_tensor().exp().view([12]);
                let nats = kl(&p, &Vec::<f64>::try_from(answer).unwrap());
                found = found.max(nats.abs());
            }
            // Corrected by log q, whatever the way of drawing, it would be far off.
            let by_q = (Tensor::from_slice(&optimum) + Tensor::from_slice(&q).log()).softmax(-1, None);
            let by_q = kl(&p, &Vec::<f64>::try_from(by_q).unwrap());
            assert!(found < 2e-4, "power {power}, S = {samples}: {found} nats");
            assert!(samples == 1 || by_q > 10.0 * found, "the check sees nothing: {by_q}");
        }
    }
}

#[test]
fn negative_sampling_starts_at_its_proposal_however_it_draws() {
    let data = WordCounts::new(vec![500, 90, 30, 7, 2, 0]).unwrap();
    for (unique, samples) in [(false, 9), (true, 1), (true, 4), (true, 6)] {
        let config = SampledConfig {
            objective: Objective::NegativeSampling,
            proposal: ProposalKind::Unigram,
            power: Some(1.0),
            samples: Some(samples),
            unique,
            ..SampledConfig::default()
        };
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(Kind::Double);
        let mut context = BuildContext::new(store.root(), 6, 2, 1);
        context.counts = Some(&data);
        let layer = Sampled::new(&context, &config).unwrap();
        let hidden = Tensor::zeros([1, 2], (Kind::Double, Device::Cpu));
        let answer = layer.log_probs(&hidden).unwrap().into_tensor().exp().view([6]);
        let proposal = data.smoothed_probs();
        let off = largest(&(answer / Tensor::from_slice(&proposal) - 1.0));
        assert!(off < 1e-12, "unique {unique}, S = {samples}: off by {off:e}");
        if !unique {
            let bias = &store.variables()["bias"];
            assert!(largest(&(bias + 9_f64.ln())) < 1e-13, "{bias:?}");
        }
    }
}

/// In bf16 a `log E` of -7 rounds by hundredths; the correction is kept and added in f32.
#[test]
fn half_precision_corrects_in_f32() {
    let counts: Vec<u64> = (1..=300).map(|rank| 3_000_000 / (rank * rank)).collect();
    let data = WordCounts::new(counts).unwrap();
    let config = SampledConfig {
        objective: Objective::NegativeSampling,
        proposal: ProposalKind::Unigram,
        power: Some(1.0),
        samples: Some(5),
        ..SampledConfig::default()
    };
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::BFloat16);
    let mut context = BuildContext::new(store.root(), 300, 2, 1);
    context.counts = Some(&data);
    let layer = Sampled::new(&context, &config).unwrap();
    let _ = tch::no_grad(|| store.variables()["bias"].shallow_clone().zero_());
    let hidden = Tensor::zeros([1, 2], (Kind::BFloat16, Device::Cpu));
    let expected = Tensor::from_slice(&data.smoothed_probs()).log();
    let close = |name: &str, got: &Tensor, expected: &Tensor| {
        let error = largest(&(got.to_kind(Kind::Double) - expected));
        assert!(error < 1e-5, "{name}: off by {error}");
    };
    close("log_probs", &layer.log_probs(&hidden).unwrap().into_tensor().view([300]), &expected);
    let last = Tensor::from_slice(&[299_i64]);
    close("log_prob", &layer.log_prob(&hidden, &last).unwrap().into_tensor(), &expected.narrow(0, 299, 1));
    let top = layer.top_k(&hidden, 40).unwrap();
    close("top_k", &top.log_probs.view([40]), &expected.narrow(0, 0, 40));
    assert_eq!(Vec::<i64>::try_from(top.ids.view([40])).unwrap(), (0..40).collect::<Vec<i64>>());
    // Draws follow it too.
    let many = hidden.repeat([40_000, 1]);
    let drawn = layer.sample(&many, &mut generator(1, "sample", 0)).unwrap();
    let rare = drawn.ge(2).to_kind(Kind::Double).mean(None).double_value(&[]);
    let share = expected.narrow(0, 2, 298).exp().sum(None).double_value(&[]);
    assert!((rare - share).abs() < 5.0 * (share * (1.0 - share) / 40_000.0).sqrt(), "{rare} {share}");
}
