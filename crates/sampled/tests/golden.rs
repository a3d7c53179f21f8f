//! The layer's counting on the classes that TensorFlow's log-uniform candidate sampler drew,
//! against the counts and losses that TensorFlow computed from them. (With TensorFlow's own counts,
//! losses and gradients are compared in the golden tests of the facade.)

#![allow(clippy::unwrap_used)]

use lexmax_conformance::golden_files;
use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::sampler::Drawn;
use lexmax_sampled::{ExpectedCount, Negatives, Objective, Proposal};
use tch::{Kind, Tensor};

/// The files: objective, whether hits are removed, and the number of draws made for the unique set,
/// which the files do not hold.
const FILES: [(&str, Objective, bool, f64); 4] = [
    ("tf_sampled_softmax_keep_hits", Objective::SampledSoftmax, false, 41.0),
    ("tf_sampled_softmax_remove_hits", Objective::SampledSoftmax, true, 11.0),
    ("tf_nce_remove_hits", Objective::Nce, true, 11.0),
    // Ten classes in ten draws: TensorFlow counts them as if they were drawn with replacement.
    ("tf_nce_keep_hits", Objective::Nce, false, 10.0),
];

/// TensorFlow's counts are f32.
const TOLERANCE: f64 = 1e-5;

struct File(Vec<(String, Tensor)>);

impl File {
    fn read(name: &str) -> Self {
        let file = &golden_files(name)[0];
        Self(Tensor::read_safetensors(file).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        self.0.iter().find(|(own, _)| own == name).unwrap().1.shallow_clone()
    }

    /// TensorFlow's set, counted as the layer counts.
    fn negatives(&self, objective: Objective, remove_hits: bool, expected_count: ExpectedCount) -> Negatives {
        let proposal = LogUniform::new(self.get("weight").size()[0]).unwrap();
        let drawn = Drawn { ids: Vec::try_from(self.get("sampled")).unwrap(), expected_count };
        Negatives::of_set(drawn, &proposal, &self.get("targets"), objective, remove_hits).unwrap()
    }

    /// Largest relative deviation of expected counts, and of losses, from TensorFlow's.
    fn deviations(&self, objective: Objective, remove_hits: bool, negatives: &Negatives) -> (f64, f64) {
        let off = |got: &Tensor, expected: &Tensor| (got / expected - 1.0).abs().max().double_value(&[]);
        let of_sampled = off(&negatives.log_expected_count.exp(), &self.get("sampled_expected_count"));
        let of_targets = off(&negatives.target_log_expected_count.exp(), &self.get("true_expected_count"));
        let [hidden, targets, weight, bias] =
            ["hidden", "targets", "weight", "bias"].map(|name| self.get(name));
        let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: Some(&bias) };
        let losses = loss_rows(objective, &scored, negatives, remove_hits).unwrap();
        (of_sampled.max(of_targets), off(&losses, &self.get("loss_per_example")))
    }
}

#[test]
fn counts_and_losses_as_tensorflow() {
    for (name, objective, remove_hits, tries) in FILES {
        let file = File::read(name);
        let samples = file.get("sampled").size()[0] as f64;
        // The law that TensorFlow uses is the one that is documented for the case, and not the
        // other one.
        let (unique, draws) = (ExpectedCount::Unique { tries }, ExpectedCount::Draws { samples });
        let (same, other) = if tries > samples { (unique, draws) } else { (draws, unique) };
        let deviations = |law| {
            let negatives = file.negatives(objective, remove_hits, law);
            file.deviations(objective, remove_hits, &negatives)
        };
        let (counts, losses) = deviations(same);
        assert!(counts < TOLERANCE && losses < TOLERANCE, "{name}: off by {counts:e} and {losses:e}");
        let (counts, losses) = deviations(other);
        assert!(counts > 1e-2 && losses > 1e-4, "{name}: the check sees nothing: {counts:e}, {losses:e}");
    }
}

/// The one case where the counts of draws with replacement are not TensorFlow's: the target of a
/// softmax that removes hits.
#[test]
fn the_target_of_a_softmax_without_hits_is_counted_once() {
    let file = File::read("tf_nce_keep_hits");
    let samples = file.get("sampled").size()[0] as f64;
    let law = ExpectedCount::Draws { samples };
    let theirs = file.get("true_expected_count");
    for objective in Objective::ALL {
        for remove_hits in [true, false] {
            let negatives = file.negatives(objective, remove_hits, law);
            let of_sampled = negatives.log_expected_count.exp() / file.get("sampled_expected_count") - 1.0;
            assert!(of_sampled.abs().max().double_value(&[]) < TOLERANCE, "{objective:?}");
            let ours = negatives.target_log_expected_count.exp();
            let expected = if objective == Objective::SampledSoftmax && remove_hits {
                // From TensorFlow's own S q.
                let q = &theirs / samples;
                -((-q).log1p() * samples).expm1()
            } else {
                theirs.shallow_clone()
            };
            let off = (ours / expected - 1.0).abs().max().double_value(&[]);
            assert!(off < TOLERANCE, "{objective:?}, removed {remove_hits}: {off:e}");
        }
    }
}

/// The declared probabilities are TensorFlow's too.
#[test]
fn log_uniform_probabilities_as_tensorflow() {
    let file = File::read("log_uniform");
    let expected = file.get("prob");
    let proposal = LogUniform::new(expected.size()[0]).unwrap();
    let ours: Vec<f64> = (0..expected.size()[0]).map(|id| proposal.prob(id)).collect();
    let off = (Tensor::from_slice(&ours) / expected.to_kind(Kind::Double) - 1.0).abs().max();
    assert!(off.double_value(&[]) < 1e-12, "{off:?}");
}
