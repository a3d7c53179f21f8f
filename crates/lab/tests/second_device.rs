//! Whole runs on a device that is not the CPU: they end as on the CPU, also when they were
//! interrupted and resumed.
//!
//! In a process of its own: libtorch counts its devices at the first backward pass.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;

use lexmax_corpus::{Corpus, Split, SynthOptions, synthesize};
use lexmax_lab::RunConfig;
use lexmax_lab::train::{Event, Observer, Trainer, TrainingEnd};
use lexmax_records::RunId;
use lexmax_second_device::{NoSecondDevice, second_device};
use serde_json::json;
use tch::{Device, Tensor};

/// Stops after a number of steps.
struct Until {
    steps: u64,
    asked: Cell<u64>,
}

impl Until {
    fn steps(steps: u64) -> Self {
        Self { steps, asked: Cell::new(0) }
    }
}

impl Observer for Until {
    fn tell(&mut self, _event: Event) {}

    fn stop(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.steps
    }
}

fn corpus(folder: &Path) -> Corpus {
    let options = SynthOptions {
        vocab_size: 60,
        classes: 4,
        order: 1,
        train_tokens: 1500,
        valid_tokens: 150,
        test_tokens: 150,
        ..SynthOptions::default()
    };
    synthesize(&options, &folder.join("corpus")).unwrap()
}

/// Parameters (on the CPU) and validation losses of a run, and the loss on the test split.
fn run(config: &RunConfig, corpus: &Corpus, checkpoint: &Path, stops: &[u64]) -> (Vec<Tensor>, Vec<f64>) {
    let id = RunId::of_config(&serde_json::to_value(config).unwrap());
    let start = || Trainer::new(config, &id, corpus, checkpoint.to_owned()).unwrap();
    for &steps in stops {
        assert_eq!(start().run(&mut Until::steps(steps)).unwrap(), TrainingEnd::Stopped);
    }
    let mut trainer = start();
    assert_eq!(trainer.progress.step > 0, !stops.is_empty());
    assert_eq!(trainer.run(&mut Until::steps(u64::MAX)).unwrap(), TrainingEnd::BudgetUsed);
    let mut losses: Vec<f64> = trainer.progress.curve.iter().map(|point| point.valid_nll).collect();
    let test = trainer.score(Split::Test, None, &mut Until::steps(u64::MAX)).unwrap().unwrap();
    losses.push(test.nll.nats());
    let parameters = trainer.learner.model.parameters().into_iter();
    (parameters.map(|(_, tensor)| tensor.detach().to_device(Device::Cpu)).collect(), losses)
}

#[test]
fn a_run_there_ends_as_one_here() {
    match second_device() {
        Err(none @ NoSecondDevice::NoGpu) => return eprintln!("skipped: {none}"),
        device => drop(device.unwrap()),
    }
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let lstm = json!({"kind": "lstm", "embedding": 12, "hidden": 12, "layers": 2, "dropout": 0.1});
    let ngram = json!({"kind": "ngram", "context": 2, "embedding": 8, "hidden": 12, "dropout": 0.1});
    let runs = [
        (&lstm, json!({"layer": "full", "tied": true}), json!({"kind": "sgd", "momentum": 0.5})),
        (&lstm, json!({"layer": "sampled", "samples": 10}), json!({"kind": "adagrad"})),
        (&lstm, json!({"layer": "adaptive", "cutoffs": [10, 30]}), json!({"kind": "sgd"})),
        (&ngram, json!({"layer": "hierarchical"}), json!({"kind": "adam"})),
        (&ngram, json!({"layer": "mos", "components": 2}), json!({"kind": "adam"})),
    ];
    for (index, (backbone, output, optimizer)) in runs.into_iter().enumerate() {
        let config = |device: &str, compute: &str| -> RunConfig {
            serde_json::from_value(json!({
                "corpus": corpus.hash(),
                "backbone": backbone,
                "output": output,
                "training": {
                    "batch": 4, "bptt": 7, "optimizer": optimizer, "learning_rate": 0.01, "clip": 0.5, "plateau": {},
                    "budget": {"tokens": 800}, "eval_points": 2, "seeds": [1], "threads": 1, "init_range": 0.1,
                    "dtype": "f64", "compute": compute,
                },
                "seed": 1,
                "device": device,
            }))
            .unwrap()
        };
        let file = |name: &str| folder.path().join(format!("{index}-{name}"));
        let (here, here_losses) = run(&config("cpu", "reference"), &corpus, &file("here"), &[]);
        let (there, there_losses) = run(&config("cuda", "fastest"), &corpus, &file("there"), &[3, 9]);
        for (one, other) in here_losses.iter().zip(&there_losses) {
            assert!((one - other).abs() < 1e-9 * one.abs(), "{output}: {here_losses:?}, {there_losses:?}");
        }
        for (one, other) in here.iter().zip(&there) {
            assert!((one - other).abs().max().double_value(&[]) < 1e-9, "{output}");
        }
        assert!(here_losses.len() == there_losses.len() && here.len() == there.len() && here.len() > 2);
    }
}
