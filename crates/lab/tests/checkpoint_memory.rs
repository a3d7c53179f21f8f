//! Memory that checkpoints take beside the state. One test alone in its process, whose pages it
//! counts.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)]

use lexmax_lab::allocator::keep_freed_memory;
use lexmax_lab::checkpoint::{Checkpoint, Progress, SavedRun};
use lexmax_lab::machine::OwnMemory;
use lexmax_lab::train::MeanLoss;
use lexmax_optim::{AdagradConfig, Optimizer, OptimizerConfig};
use lexmax_records::RunId;
use tch::{Device, Kind, Tensor};

#[test]
fn checkpoint_is_written_and_read_without_a_second_state() {
    // What is freed stays, so that a look afterwards sees the peak.
    assert!(keep_freed_memory());
    // On a disk: pages of a file system in memory would count as the process's own.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("run.safetensors");
    let id = RunId::of_config(&serde_json::json!(1));
    let named = |name: &str| {
        let tensor = Tensor::ones([1 << 19, 32], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        (name.to_owned(), tensor)
    };
    let parameters = vec![named("a"), named("b")];
    let copies = parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    let config =
        OptimizerConfig::Adagrad(AdagradConfig { initial_accumulator: 0.5, ..AdagradConfig::default() });
    let mut optimizer = Optimizer::new(copies, &config).unwrap();
    // Two parameters of 64 MiB and their state.
    let state_bytes = 4 * (64 << 20);
    let checkpoint = Checkpoint {
        progress: Progress {
            id: id.clone(),
            step: 3,
            tokens: 60,
            row: 0,
            train_seconds: 1.0,
            setup_seconds: 0.0,
            loss: MeanLoss::default(),
            learning_rate: 0.5,
            plateau: None,
            points: 0,
            curve: Vec::new(),
            products: None,
        },
        parameters: parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect(),
        optimizer: optimizer.state_handles(),
        state: None,
    };
    let peak = || {
        let mut memory = OwnMemory::default();
        memory.look_now();
        memory.peak().unwrap()
    };
    let before = peak();
    assert!(before > state_bytes, "the look sees the state");
    checkpoint.save(&path).unwrap();
    let written = peak();
    assert!(written < before + state_bytes / 10, "writing: {before} to {written}");

    tch::no_grad(|| parameters.iter().for_each(|(_, tensor)| drop(tensor.shallow_clone().zero_())));
    for (_, mut entry) in optimizer.state_handles() {
        let _ = entry.zero_();
    }
    let saved = SavedRun::open(&path, &id).unwrap().unwrap();
    saved.restore(&parameters, &mut optimizer).unwrap();
    let restored = peak();
    assert!(restored < before + state_bytes / 10, "restoring: {before} to {restored}");
    let sum = |tensor: &Tensor| tensor.sum(Kind::Double).double_value(&[]);
    assert!(parameters.iter().all(|(_, tensor)| sum(tensor) == f64::from(1 << 24)));
    assert!(optimizer.state_handles().iter().all(|(_, entry)| sum(entry) == f64::from(1 << 23)));
}
