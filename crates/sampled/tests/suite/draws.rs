//! Draws follow the distribution that the proposal declares; unique draws follow their expected
//! counts.

use lexmax_kernels::seed::generator;
use lexmax_sampled::proposal::{InBatch, LogUniform, Uniform, Unigram};
use lexmax_sampled::{ExpectedCount, Proposal, Sampler};
use rand::RngExt;

use crate::fixture::counts;

/// How far observed counts are from the declared probabilities, in standard deviations: the worse
/// of Pearson's chi-square over all classes and the z-scores of classes 0 to 5.
pub fn deviation(observed: &[f64], declared: impl Fn(i64) -> f64) -> f64 {
    let n: f64 = observed.iter().sum();
    let expected: Vec<f64> = (0..observed.len()).map(|id| n * declared(id as i64)).collect();
    let chi_square: f64 = observed.iter().zip(&expected).map(|(o, e)| (o - e).powi(2) / e).sum();
    let freedom = observed.len() as f64 - 1.0;
    let z =
        |id: usize| (observed[id] - expected[id]).abs() / (expected[id] * (1.0 - expected[id] / n)).sqrt();
    let heads = (0..6.min(observed.len())).map(z).fold(0.0, f64::max);
    heads.max((chi_square - freedom) / (2.0 * freedom).sqrt())
}

pub fn histogram(ids: &[i64], vocab_size: i64) -> Vec<f64> {
    let mut observed = vec![0.0; vocab_size as usize];
    ids.iter().for_each(|&id| observed[id as usize] += 1.0);
    observed
}

pub fn proposals(vocab_size: i64) -> Vec<(&'static str, Box<dyn Proposal>)> {
    let unigram = |power| Box::new(Unigram::new(&counts(vocab_size), power).unwrap());
    vec![
        ("uniform", Box::new(Uniform::new(vocab_size).unwrap())),
        ("log-uniform", Box::new(LogUniform::new(vocab_size).unwrap())),
        ("unigram^0", unigram(0.0)),
        ("unigram^0.75", unigram(0.75)),
        ("unigram^1", unigram(1.0)),
    ]
}

#[test]
fn declared_probabilities_sum_to_one_and_end_at_the_vocabulary() {
    for vocab_size in [4, 60, 5000] {
        for (name, proposal) in proposals(vocab_size) {
            let total: f64 = (0..vocab_size).map(|id| proposal.prob(id)).sum();
            assert!((total - 1.0).abs() < 1e-12, "{name} of {vocab_size}: {total}");
            assert_eq!((proposal.prob(-1), proposal.prob(vocab_size)), (0.0, 0.0), "{name}");
            let logs = proposal.log_prob(&[0, vocab_size - 1]);
            assert!((logs[1].exp() / proposal.prob(vocab_size - 1) - 1.0).abs() < 1e-12, "{name}");
        }
    }
    assert_eq!(LogUniform::new(1).unwrap().prob(0), 1.0);
}

#[test]
fn other_targets_are_counted_as_in_batch_declares() {
    let (vocab_size, rows, batches) = (40, 16, 6000);
    let counts = counts(vocab_size);
    let proposal = InBatch::new(&counts);
    let mut cumulative = counts.smoothed_probs();
    (1..cumulative.len()).for_each(|id| cumulative[id] += cumulative[id - 1]);
    let mut rng = generator(2, "targets", 0);
    let mut observed = vec![0.0; vocab_size as usize];
    for _ in 0..batches {
        let mut target = || {
            let uniform = rng.random::<f64>();
            cumulative.partition_point(|&sum| sum <= uniform).min(39)
        };
        let _own = target();
        (1..rows).for_each(|_| observed[target()] += 1.0);
    }
    let found = deviation(&observed, |id| proposal.prob(id));
    assert!(found < 4.0, "{found} standard deviations: {observed:?}");
    let law = ExpectedCount::Draws { samples: (rows - 1) as f64 };
    assert!((observed[0] / batches as f64 / law.of(proposal.prob(0)) - 1.0).abs() < 0.02);
}

#[test]
fn unique_draws_include_a_class_as_often_as_expected() {
    let rounds = 6000;
    for (samples, allowed) in [(10_usize, 0.02), (30, 0.03), (55, 0.03)] {
        for (name, proposal) in proposals(60) {
            let sampler = Sampler::new(proposal, samples, true).unwrap();
            let mut rng = generator(8, name, samples as u64);
            let (mut included, mut expected) = (vec![0.0; 60], vec![0.0; 60]);
            for _ in 0..rounds {
                let drawn = sampler.draw(&mut rng);
                assert!(
                    matches!(drawn.expected_count, ExpectedCount::Unique { tries } if tries >= samples as f64)
                );
                let mut ids = drawn.ids.clone();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len(), samples, "{name}: a class twice");
                ids.iter().for_each(|&id| included[id as usize] += 1.0 / rounds as f64);
                (0..60).for_each(|id| {
                    expected[id] +=
                        drawn.expected_count.of(sampler.proposal().prob(id as i64)) / rounds as f64;
                });
            }
            for id in 0..60 {
                // The count given T is an approximation (T knows something of the set), so a margin
                // beside the noise.
                let (got, want): (f64, f64) = (included[id], expected[id]);
                let noise = 4.5 * (want * (1.0 - want) / rounds as f64).sqrt();
                assert!(
                    (got - want).abs() < noise + allowed,
                    "{name}, S = {samples}, class {id}: {got}, not {want}"
                );
            }
        }
    }
}

#[test]
fn every_class_is_taken_when_all_are_asked_for() {
    for (name, proposal) in proposals(30) {
        let drawn = Sampler::new(proposal, 30, true).unwrap().draw(&mut generator(1, "negatives", 0));
        assert_eq!(drawn.ids, (0..30).collect::<Vec<_>>(), "{name}");
        assert_eq!(drawn.expected_count, ExpectedCount::Every, "{name}");
    }
}
