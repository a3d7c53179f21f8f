//! The objectives, the log-uniform proposal and the expected counts against numbers that TensorFlow computed.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::proposal::LogUniform;
use lexmax_sampled::{ExpectedCount, Negatives, Objective, Proposal};
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

/// One golden file: its tensors and options.
struct Golden {
    bytes: Vec<u8>,
    options: serde_json::Value,
}

impl Golden {
    /// The file, or nothing (with a line that says so) where the shared data is absent.
    fn open(name: &str) -> Option<Self> {
        let shared = std::env::var_os("LEXMAX_SHARED").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            PathBuf::from,
        );
        let path = shared.join("golden").join(name);
        if !path.exists() {
            eprintln!("skipped: {} is absent", path.display());
            return None;
        }
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let options = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["options"]).unwrap();
        Some(Self { bytes, options })
    }

    fn tensor(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let words = view.data().chunks_exact(8).map(|bytes| <[u8; 8]>::try_from(bytes).unwrap());
        match view.dtype() {
            Dtype::F64 => {
                Tensor::from_slice(&words.map(f64::from_le_bytes).collect::<Vec<_>>()).view(&*shape)
            }
            Dtype::I64 => {
                Tensor::from_slice(&words.map(i64::from_le_bytes).collect::<Vec<_>>()).view(&*shape)
            }
            other => panic!("{name} has type {other:?}"),
        }
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        Vec::try_from(self.tensor(name)).unwrap()
    }
}

fn assert_relative(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.size(), expected.size(), "{what}");
    let error = (got - expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]);
    assert!(error <= 1e-10 * scale, "{what}: off by {error:e} of {scale:e}");
}

fn check_objective(name: &str, objective: Objective) {
    let Some(golden) = Golden::open(name) else { return };
    let parameter = |name| golden.tensor(name).set_requires_grad(true);
    let (hidden, weight, bias) = (parameter("hidden"), parameter("weight"), parameter("bias"));
    let targets = golden.tensor("targets");
    let negatives = Negatives::new(
        golden.tensor("sampled"),
        &golden.tensor("sampled_expected_count"),
        &golden.tensor("true_expected_count"),
    )
    .unwrap();
    assert_eq!(golden.options["subtract_log_q"], true, "{name}");
    let remove = golden.options["remove_accidental_hits"].as_bool().unwrap();
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: Some(&bias) };
    let rows = loss_rows(objective, &scored, &negatives, remove).unwrap();
    assert_relative(&format!("{name} loss"), &rows, &golden.tensor("loss_per_example"));
    rows.mean(Kind::Double).backward();
    for (what, tensor) in [("hidden", &hidden), ("weight", &weight), ("bias", &bias)] {
        assert_relative(
            &format!("{name} grad_{what}"),
            &tensor.grad(),
            &golden.tensor(&format!("grad_{what}")),
        );
    }
    check_expected_counts(name, &golden);
}

/// The file holds counts of unique log-uniform draws, in f32, but not the number of tries: the rarest class gives it,
/// and all others must agree. Where no draw was a repeat, TensorFlow counts as with replacement, and ours is tested as that.
fn check_expected_counts(name: &str, golden: &Golden) {
    let proposal = LogUniform::new(golden.tensor("weight").size()[0]).unwrap();
    let ids = |name| Vec::<i64>::try_from(golden.tensor(name)).unwrap();
    let counted = [("sampled", "sampled_expected_count"), ("targets", "true_expected_count")];
    let pairs: Vec<(f64, f64)> = counted
        .into_iter()
        .flat_map(|(ids_name, counts)| {
            let q: Vec<f64> = ids(ids_name).into_iter().map(|id| proposal.prob(id)).collect();
            q.into_iter().zip(golden.numbers(counts))
        })
        .collect();
    let (q, count) = pairs.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let tries = ((-count).ln_1p() / (-q).ln_1p()).round();
    let samples = golden.tensor("sampled").size()[0] as f64;
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
fn sampled_softmax_as_tensorflow() {
    check_objective("tf_sampled_softmax_keep_hits.safetensors", Objective::SampledSoftmax);
    check_objective("tf_sampled_softmax_remove_hits.safetensors", Objective::SampledSoftmax);
}

#[test]
fn nce_as_tensorflow() {
    check_objective("tf_nce_keep_hits.safetensors", Objective::Nce);
    check_objective("tf_nce_remove_hits.safetensors", Objective::Nce);
}

#[test]
fn log_uniform_as_tensorflow() {
    let Some(golden) = Golden::open("log_uniform.safetensors") else { return };
    let expected = golden.numbers("prob");
    let proposal = LogUniform::new(golden.options["range_max"].as_i64().unwrap()).unwrap();
    assert_eq!(expected.len() as i64, proposal.vocab_size());
    for (id, expected) in expected.into_iter().enumerate() {
        assert!((proposal.prob(id as i64) / expected - 1.0).abs() < 1e-12, "class {id}");
    }
}
