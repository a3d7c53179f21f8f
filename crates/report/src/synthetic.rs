//! Made-up records for tests: a world in which an output has a speed and a loss, seeds add a little
//! noise, and learning curves fall towards the loss.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use lexmax_records::{
    Band, BandedNll, CorpusFacts, CurvePoint, Environment, RunHeader, RunId, RunRecord, RunResult, RunStatus,
    RunStore,
};
use serde_json::json;

/// An output of the made-up world: name, family, tokens per second, test loss in nats, millions of
/// layer parameters.
pub type Output = (&'static str, &'static str, f64, f64, f64);

/// Twelve outputs of all five families, close to one another where real ones are.
pub const OUTPUTS: [Output; 12] = [
    ("full", "full", 3_100.0, 5.105, 6.7),
    ("full tied", "full", 3_150.0, 5.098, 0.03),
    ("sampled S=256 log-uniform", "sampled", 11_800.0, 5.34, 6.7),
    ("sampled S=1024 log-uniform", "sampled", 9_900.0, 5.21, 6.7),
    ("sampled S=4096 unigram^0.75", "sampled", 6_200.0, 5.13, 6.7),
    ("nce S=1024", "sampled", 9_700.0, 5.62, 6.7),
    ("negative sampling", "sampled", 10_100.0, 5.97, 6.7),
    ("huffman", "hierarchical", 12_400.0, 5.52, 6.6),
    ("two-level classes", "hierarchical", 10_600.0, 5.31, 6.8),
    ("adaptive 2000,10000", "adaptive", 9_800.0, 5.16, 2.9),
    ("adaptive div 2", "adaptive", 8_100.0, 5.14, 4.1),
    ("mixture K=4", "mixture", 950.0, 5.20, 6.9),
];

/// A number in -1..1 that depends on nothing but its key.
fn noise(key: &str) -> f64 {
    let hash =
        key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    (hash >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A finished run.
pub fn run(output: Output, seed: u64) -> RunRecord {
    let (name, family, speed, loss, parameters) = output;
    let noise = |what: &str| noise(&format!("{name} {seed} {what}"));
    let speed = speed * (1.0 + 0.015 * noise("speed"));
    let loss = loss + 0.008 * noise("loss");
    let seconds = 60.0;
    let setup = if family == "hierarchical" { 1.5 } else { 0.0 };
    let config = json!({
        "backbone": {"kind": "lstm", "layers": 2, "hidden": 200},
        "output": {"name": name, "family": family},
        "budget": {"seconds": seconds},
        "seed": seed,
    });
    let curve = (1..=20)
        .map(|i| {
            let time = setup + (seconds - setup) * f64::from(i) / 20.0;
            let tokens = speed * (time - setup);
            let valid_nll = loss + 0.05 + 4.5 * (1.0 + tokens / 6_000.0).powf(-0.9)
                - 4.5 * (1.0 + speed * (seconds - setup) / 6_000.0).powf(-0.9);
            CurvePoint {
                step: (tokens / 700.0) as u64,
                tokens: tokens as u64,
                train_seconds: time,
                train_loss: valid_nll + 0.1,
                valid_nll: valid_nll + 0.01 * noise(&format!("point {i}")),
                valid_tokens: 50_000,
                learning_rate: 20.0,
            }
        })
        .collect();
    let shares = [0.31, 0.21, 0.22, 0.19, 0.07];
    let offsets = [-3.2, -1.3, 0.4, 2.4];
    let edges = [0, 10, 100, 1_000, 10_000, 33_278];
    let total = 245_569_u64;
    let mut bands = Vec::new();
    let (mut left, mut left_tokens) = (loss * total as f64, total);
    for (i, share) in shares.iter().enumerate() {
        let tokens = match offsets.get(i) {
            Some(_) => (total as f64 * share).round() as u64,
            None => left_tokens,
        };
        let nats = match offsets.get(i) {
            Some(offset) => (loss + offset + 0.03 * noise(&format!("band {i}"))) * tokens as f64,
            None => left,
        };
        left -= nats;
        left_tokens -= tokens;
        bands.push(Band { from: edges[i], to: edges[i + 1], nats, tokens });
    }
    let tokens = (speed * (seconds - setup)) as u64;
    let run = RunHeader {
        id: RunId::of_config(&config),
        experiment: "synthetic".into(),
        experiment_file: None,
        name: name.into(),
        family: family.into(),
        seed,
        config,
        environment: Environment {
            cpu: "Made-up processor at 2.5 GHz".into(),
            cores: 2,
            threads: 2,
            memory_bytes: Some(16 << 30),
            os: "linux x86_64".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            libtorch: "2.13.0".into(),
            products: Some("gemm".into()),
            lexmax: "0.1.0".into(),
            commit: Some("0123abcd".into()),
        },
        corpus: CorpusFacts {
            name: "made-up words".into(),
            hash: "5eed".into(),
            vocab_size: 33_278,
            train_tokens: 2_088_628,
            valid_tokens: 217_646,
            test_tokens: total,
        },
        started_unix: 1_760_000_000 + 70 * seed,
    };
    RunRecord {
        run,
        curve,
        status: RunStatus::Finished(RunResult {
            test: BandedNll::from_exact(bands),
            eval_batch: 10,
            ignored_class: None,
            ignored_test_tokens: 0,
            valid_nll: loss + 0.05,
            true_test_nll: Some(4.9),
            train_seconds: seconds,
            setup_seconds: setup,
            steps: tokens / 700,
            tokens,
            train_tokens_per_second: speed,
            eval_tokens_per_second: 2.2 * speed,
            layer_ms: 700_000.0 / speed - 50.0,
            gflop_per_step: Some(6e-3 * parameters),
            dropped_mass: None,
            compute_path: None,
            top_k_ms: 3.5 + noise("top"),
            top_k_rows: 20,
            parameters: (parameters * 1e6) as u64 + 7_300_000,
            layer_parameters: (parameters * 1e6) as u64,
            peak_memory_bytes: Some(
                ((250.0 + 30.0 * parameters + 20_000.0 / speed * 20.0) * 1_048_576.0) as u64,
            ),
        }),
    }
}

/// Gives a finished run another test loss, in nats per token and alike in every band.
pub fn set_loss(record: &mut RunRecord, nll: f64) {
    let result = record.result_mut().unwrap();
    let bands = result.test.bands().iter();
    let alike = bands.map(|band| Band { nats: nll * band.tokens as f64, ..band.clone() });
    result.test = BandedNll::from_exact(alike.collect());
}

/// Breaks a run at a step.
pub fn broken(mut record: RunRecord, step: u64) -> RunRecord {
    record.status =
        RunStatus::Failed { error: format!("loss is not finite at step {step}"), step: Some(step) };
    record.curve.truncate(4);
    if let Some(point) = record.curve.last_mut() {
        point.train_loss = f64::NAN;
    }
    record
}

/// Every output with two seeds; the second of NCE broke.
pub fn many() -> Vec<RunRecord> {
    OUTPUTS
        .iter()
        .flat_map(|&output| [run(output, 1), run(output, 2)])
        .map(|record| {
            if record.run.name.starts_with("nce") && record.run.seed == 2 {
                broken(record, 340)
            } else {
                record
            }
        })
        .collect()
}

/// Writes records as an experiment would.
pub fn write(results: &Path, records: &[RunRecord]) {
    let store = RunStore::open(results);
    for record in records {
        store.write(record).unwrap();
    }
}
