//! Tests of row-sparse gradients in training: the key reaches the computation, and the run is the
//! same to rounding.
#![allow(clippy::unwrap_used)]

use tch::{Device, Tensor};

use super::tests::{FULL, SAMPLED, TIED, Until, config, corpus, id};
use super::*;

const SAMPLED_TIED: &str =
    r#"{"layer": "sampled", "objective": "sampled-softmax", "samples": 10, "tied": true}"#;

/// The parameters after some steps, and whether the embedding's gradient is row-sparse.
fn train(training: &str, output: &str) -> (Vec<(String, Tensor)>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let config = config(&corpus, training, output);
    let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("none")).unwrap();
    trainer.run(&mut Until::never()).unwrap();
    let sparse = trainer.learner.model.backbone.embedding().grad().is_sparse();
    (trainer.learner.model.parameters(), sparse)
}

fn training(optimizer: &str, more: &str) -> String {
    format!(
        r#"{{"optimizer": {{{optimizer}}}, "learning_rate": 0.1, "clip": 0.5, "dtype": "f64",
            "budget": {{"tokens": 300}}, "eval_points": 1{more}}}"#
    )
}

#[test]
fn sparse_and_dense_gradients_train_the_same_model() {
    for optimizer in [
        r#""kind": "sgd""#,
        r#""kind": "sgd", "momentum": 0.8, "weight_decay": 0.01"#,
        r#""kind": "adagrad""#,
        r#""kind": "adam", "weight_decay": 0.01, "decoupled": true"#,
    ] {
        for output in [FULL, TIED, SAMPLED, SAMPLED_TIED] {
            let of = |sparse: bool| {
                train(&training(optimizer, &format!(r#", "sparse_gradients": {sparse}"#)), output)
            };
            let ((dense, not_sparse), (sparse, is_sparse)) = (of(false), of(true));
            assert!(!not_sparse);
            // The full softmax reads every row of the weight that it shares, so its gradient is
            // dense.
            assert!(is_sparse || output == TIED || output == SAMPLED_TIED, "{optimizer} {output}");
            for ((name, dense), (_, sparse)) in dense.iter().zip(&sparse) {
                assert!(dense.allclose(sparse, 1e-9, 1e-11, false), "{optimizer} {output} {name}");
            }
        }
    }
}

#[test]
fn gradients_are_sparse_by_default_where_that_is_free() {
    let cases = [
        (r#""kind": "sgd""#, true),
        (r#""kind": "sgd", "momentum": 0.8"#, false),
        (r#""kind": "sgd", "momentum": 0.8, "lazy": true"#, true),
        (r#""kind": "adagrad""#, true),
        (r#""kind": "adagrad", "weight_decay": 0.1"#, false),
        (r#""kind": "adam""#, false),
        (r#""kind": "adam", "lazy": true"#, true),
    ];
    for (optimizer, expected) in cases {
        assert_eq!(train(&training(optimizer, ""), FULL).1, expected, "{optimizer}");
        let read: crate::config::TrainingConfig = serde_json::from_value(serde_json::json!({
            "batch": 1, "bptt": 1, "learning_rate": 1, "budget": {"tokens": 1}, "seeds": [1],
            "optimizer": serde_json::from_str::<serde_json::Value>(&format!("{{{optimizer}}}")).unwrap(),
        }))
        .unwrap();
        assert_eq!(read.uses_sparse_gradients(Device::Cpu), expected);
        assert!(!read.uses_sparse_gradients(Device::Cuda(0)));
        let json = serde_json::to_string(&read).unwrap();
        assert!(!json.contains("sparse_gradients"), "what is not said does not change the name of a run");
    }
}

#[test]
fn lazy_changes_what_a_sparse_run_learns() {
    for usual in [r#""kind": "adam""#, r#""kind": "sgd", "momentum": 0.8"#] {
        let end = |lazy: bool| {
            let optimizer = format!(r#"{usual}, "lazy": {lazy}"#);
            train(&training(&optimizer, r#", "sparse_gradients": true"#), FULL).0
        };
        let (usual, lazy) = (end(false), end(true));
        let embedding = |parameters: &[(String, Tensor)]| {
            parameters.iter().find(|(name, _)| name.contains("embedding")).unwrap().1.shallow_clone()
        };
        assert_ne!(embedding(&usual), embedding(&lazy));
    }
}
