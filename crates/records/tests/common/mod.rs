//! One made-up record for every test of the store.

use lexmax_records::{
    Band, BandedNll, CorpusFacts, CurvePoint, Environment, LossPath, RunHeader, RunId, RunRecord, RunResult,
    RunStatus,
};
use serde_json::json;

/// A finished run of an output under a seed.
pub fn record(name: &str, seed: u64) -> RunRecord {
    let config = json!({"output": {"name": name, "samples": 256}, "seed": seed});
    let run = RunHeader {
        id: RunId::of_config(&config),
        experiment: "store".into(),
        experiment_file: None,
        name: name.into(),
        family: "sampled".into(),
        seed,
        config,
        environment: Environment {
            cpu: "a processor".into(),
            cores: 2,
            threads: 2,
            memory_bytes: Some(8 << 30),
            os: "linux x86_64".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            libtorch: "2.13.0".into(),
            products: Some("gemm".into()),
            lexmax: "0.1.0".into(),
            commit: None,
        },
        corpus: CorpusFacts {
            name: "synthetic".into(),
            hash: "abc".into(),
            vocab_size: 20,
            train_tokens: 1000,
            valid_tokens: 100,
            test_tokens: 100,
        },
        started_unix: 1_700_000_000,
    };
    RunRecord {
        run,
        curve: vec![CurvePoint {
            step: 10,
            tokens: 700,
            train_seconds: 0.1 + 0.2,
            train_loss: 2.5,
            valid_nll: 2.75,
            valid_tokens: 100,
            learning_rate: 20.0,
        }],
        status: RunStatus::Finished(RunResult {
            test: BandedNll::from_exact(vec![
                Band { from: 0, to: 10, nats: 50.0, tokens: 60 },
                Band { from: 10, to: 20, nats: 200.0, tokens: 40 },
            ]),
            eval_batch: 10,
            ignored_class: None,
            ignored_test_tokens: 0,
            valid_nll: 2.75,
            true_test_nll: Some(2.25),
            train_seconds: 1.5,
            setup_seconds: 0.25,
            steps: 10,
            tokens: 700,
            train_tokens_per_second: 560.0,
            eval_tokens_per_second: 1234.5,
            layer_ms: 3.25,
            gflop_per_step: Some(0.5),
            dropped_mass: None,
            compute_path: Some(LossPath::Chunked),
            top_k_ms: 0.125,
            top_k_rows: 35,
            parameters: 4000,
            layer_parameters: 2000,
            peak_memory_bytes: Some(100 << 20),
        }),
    }
}
