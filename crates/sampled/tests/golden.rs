//! Expected counts against those that TensorFlow's log-uniform candidate sampler computed. (Its losses, gradients and
//! probabilities are compared in the golden tests of the facade.)

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::{ExpectedCount, Proposal};
use tch::Tensor;

const FILES: [&str; 4] = [
    "tf_sampled_softmax_keep_hits",
    "tf_sampled_softmax_remove_hits",
    "tf_nce_keep_hits",
    "tf_nce_remove_hits",
];

/// The file holds counts of unique log-uniform draws, in f32, but not the number of tries: the rarest class gives it,
/// and all others must agree. Where no draw was a repeat, TensorFlow counts as with replacement, and ours is tested as that.
fn check(name: &str, tensors: Vec<(String, Tensor)>) {
    let get = |name: &str| tensors.iter().find(|(own, _)| own == name).unwrap().1.shallow_clone();
    let proposal = LogUniform::new(get("weight").size()[0]).unwrap();
    let counted = [("sampled", "sampled_expected_count"), ("targets", "true_expected_count")];
    let pairs: Vec<(f64, f64)> = counted
        .into_iter()
        .flat_map(|(ids, counts)| {
            let ids = Vec::<i64>::try_from(get(ids)).unwrap();
            let counts = Vec::<f64>::try_from(get(counts)).unwrap();
            ids.into_iter().map(|id| proposal.prob(id)).zip(counts).collect::<Vec<_>>()
        })
        .collect();
    let (q, count) = pairs.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let tries = ((-count).ln_1p() / (-q).ln_1p()).round();
    let samples = get("sampled").size()[0] as f64;
    assert!(tries >= samples, "{name}: {tries} tries");
    let no_repeats = (count / (samples * q) - 1.0).abs() < 1e-6;
    let law = if no_repeats { ExpectedCount::Draws { samples } } else { ExpectedCount::Unique { tries } };
    for (q, count) in pairs {
        let ours = law.of(q);
        assert!(
            (ours / count - 1.0).abs() < 1e-5,
            "{name}: expected count {ours} of q = {q}, TensorFlow {count}"
        );
    }
}

#[test]
fn expected_counts_as_tensorflow() {
    let shared = std::env::var_os("LEXMAX_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    for name in FILES {
        let file = shared.join("golden").join(format!("{name}.safetensors"));
        if file.exists() {
            check(name, Tensor::read_safetensors(&file).unwrap());
        } else {
            eprintln!("skipped: {} is absent", file.display());
        }
    }
}
