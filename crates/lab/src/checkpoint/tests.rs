//! Checkpoints written and read: unchanged, refused, and restored.
#![allow(clippy::unwrap_used)]
use lexmax_optim::{AdagradConfig, Optimizer, OptimizerConfig};
use tch::{Device, Tensor};

use super::*;

fn checkpoint() -> Checkpoint {
    let progress = Progress {
        id: RunId::of_config(&serde_json::json!(1)),
        step: 3,
        tokens: 60,
        row: 9,
        train_seconds: 0.1 + 0.2,
        setup_seconds: 0.0,
        loss: MeanLoss { sum: 1.0 / 3.0, weight: 20.0 },
        learning_rate: 0.5,
        plateau: None,
        points: 1,
        curve: Vec::new(),
        products: Some("gemm".to_owned()),
    };
    let tensor = |values: &[f64]| Tensor::from_slice(values);
    Checkpoint {
        progress,
        parameters: vec![("a".to_owned(), tensor(&[1.0, 2.0]))],
        optimizer: vec![("m.a".to_owned(), tensor(&[0.25, 0.5]))],
        state: Some(vec![tensor(&[7.0]).view([1, 1]), tensor(&[8.0])]),
    }
}

#[test]
fn saved_checkpoint_loads_unchanged_and_for_its_run_only() {
    let folder = tempfile::tempdir().unwrap();
    let saved = checkpoint();
    let file = path(folder.path(), &saved.progress.id);
    assert!(Checkpoint::load(&file, &saved.progress.id, Device::Cpu).unwrap().is_none());
    saved.save(&file).unwrap();
    let loaded = Checkpoint::load(&file, &saved.progress.id, Device::Cpu).unwrap().unwrap();
    assert_eq!(loaded.progress, saved.progress);
    assert_eq!(loaded.parameters, saved.parameters);
    assert_eq!(loaded.optimizer, saved.optimizer);
    assert_eq!(loaded.state, saved.state);

    let other = RunId::of_config(&serde_json::json!(2));
    let error = Checkpoint::load(&file, &other, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains(&format!("expected {other}")), "{error}");
    std::fs::write(&file, b"damaged").unwrap();
    assert!(Checkpoint::load(&file, &saved.progress.id, Device::Cpu).is_err());
}

#[test]
fn foreign_bytes_are_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let saved = checkpoint();
    let file = path(folder.path(), &saved.progress.id);
    saved.save(&file).unwrap();
    let sound = std::fs::read(&file).unwrap();
    assert!(Checkpoint::from_bytes(&sound, Device::Cpu).is_ok());
    for length in 0..sound.len() {
        assert!(Checkpoint::from_bytes(&sound[..length], Device::Cpu).is_err(), "cut to {length}");
    }
    for at in 0..sound.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= flip;
            // A change within a number is another number; anything else is an error. Neither is
            // a panic.
            let _ = Checkpoint::from_bytes(&bytes, Device::Cpu);
        }
    }
    let header = |json: &str| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
    for json in [
        "{}",
        r#"{"parameter/a":{"dtype":"F32","shape":[0,9223372036854775807,3],"data_offsets":[0,0]}}"#,
        r#"{"parameter/a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}}"#,
        r#"{"parameter/a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
        r#"{"parameter/a":{"dtype":"U16","shape":[0],"data_offsets":[0,0]}}"#,
        r#"{"progress":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
        r#"{"other":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#,
    ] {
        assert!(Checkpoint::from_bytes(&header(json), Device::Cpu).is_err(), "{json}");
    }
    assert!(Checkpoint::from_bytes(&u64::MAX.to_le_bytes(), Device::Cpu).is_err());
}

/// An optimizer over two parameters that start as zeros, and the parameters.
fn zeros(shapes: [(&str, i64); 2]) -> (Vec<(String, Tensor)>, Optimizer) {
    let zeros = |(name, n): (&str, i64)| {
        let tensor = Tensor::zeros([n], (tch::Kind::Double, Device::Cpu)).set_requires_grad(true);
        (name.to_owned(), tensor)
    };
    let parameters: Vec<_> = shapes.into_iter().map(zeros).collect();
    let copies = parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    let optimizer = Optimizer::new(copies, &OptimizerConfig::Adagrad(AdagradConfig::default())).unwrap();
    (parameters, optimizer)
}

#[test]
fn saved_state_is_restored_by_name_and_shape_into_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = |values: &[f64]| Tensor::from_slice(values);
    let named = |name: &str, values: &[f64]| (name.to_owned(), tensor(values));
    let saved = Checkpoint {
        parameters: vec![named("a", &[1.0, 2.0]), named("b", &[3.0])],
        optimizer: vec![named("a/square_sum", &[0.25, 0.5]), named("b/square_sum", &[0.75])],
        ..checkpoint()
    };
    let file = path(folder.path(), &saved.progress.id);
    saved.save(&file).unwrap();
    let open = || SavedRun::open(&file, &saved.progress.id).unwrap().unwrap();
    let (model, mut optimizer) = zeros([("b", 1), ("a", 2)]);
    let places: Vec<_> = model.iter().map(|(_, tensor)| tensor.data_ptr()).collect();
    open().restore(&model, &mut optimizer).unwrap();
    assert_eq!((&model[0].1, &model[1].1), (&saved.parameters[1].1, &saved.parameters[0].1));
    let mut state = optimizer.state().unwrap();
    state.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(state, saved.optimizer);
    assert!(model.iter().map(|(_, tensor)| tensor.data_ptr()).eq(places));

    // Refused whole: neither parameters nor state change.
    let refused = |checkpoint: Checkpoint, shapes, words: &str| {
        checkpoint.save(&file).unwrap();
        let (model, mut optimizer) = zeros(shapes);
        let before = optimizer.state().unwrap();
        let error = open().restore(&model, &mut optimizer).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(model.iter().all(|(_, tensor)| tensor.abs().max().double_value(&[]) == 0.0));
        assert_eq!(optimizer.state().unwrap(), before);
    };
    let again = || Checkpoint {
        progress: saved.progress.clone(),
        parameters: vec![named("a", &[1.0, 2.0]), named("b", &[3.0])],
        optimizer: vec![named("a/square_sum", &[0.25, 0.5]), named("b/square_sum", &[0.75])],
        state: None,
    };
    refused(again(), [("b", 1), ("a", 3)], "no parameter a of shape [3]");
    refused(
        Checkpoint { parameters: vec![named("a", &[1.0, 2.0])], ..again() },
        [("b", 1), ("a", 2)],
        "1 parameters, expected 2",
    );
    let short = Checkpoint { optimizer: vec![named("a/square_sum", &[0.25, 0.5])], ..again() };
    refused(short, [("b", 1), ("a", 2)], "b/square_sum");
}

#[test]
fn tensors_of_every_layout_are_written_in_row_major_order() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = Tensor::arange(12, (tch::Kind::Double, Device::Cpu)).view([3, 4]);
    let tensors = [
        ("transposed", matrix.transpose(0, 1)),
        ("part", matrix.narrow(1, 1, 2)),
        ("row", matrix.select(0, 2)),
        ("number", Tensor::from(7_i64)),
        ("empty", Tensor::zeros([0, 3], (tch::Kind::Float, Device::Cpu))),
        ("leaf", matrix.to_kind(tch::Kind::Float).set_requires_grad(true)),
    ];
    let parameters = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone()));
    let saved = Checkpoint { parameters: parameters.collect(), ..checkpoint() };
    let file = path(folder.path(), &saved.progress.id);
    saved.save(&file).unwrap();
    let loaded = Checkpoint::load(&file, &saved.progress.id, Device::Cpu).unwrap().unwrap();
    for (name, tensor) in &tensors {
        let (_, read) = loaded.parameters.iter().find(|(read, _)| read == name).unwrap();
        assert_eq!((read.size(), read.kind()), (tensor.size(), tensor.kind()), "{name}");
        assert!(read.equal(tensor), "{name}");
    }
}
