//! Tests of training: it learns, it resumes bit for bit, it decays, it stops where it must.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use lexmax_corpus::{Corpus, Split, SynthOptions, synthesize};
use lexmax_records::RunId;
use tch::Kind;

use super::*;
use crate::config::{BackboneConfig, Budget, LstmConfig, TrainingConfig};

/// Stops after a number of steps; keeps what it was told.
pub(super) struct Until {
    steps: u64,
    asked: std::cell::Cell<u64>,
}

impl Until {
    fn steps(steps: u64) -> Self {
        Self { steps, asked: std::cell::Cell::new(0) }
    }

    pub(super) fn never() -> Self {
        Self::steps(u64::MAX)
    }
}

impl Observer for Until {
    fn tell(&mut self, _event: Event) {}

    fn stop(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.steps
    }
}

pub(super) fn corpus(folder: &Path) -> Corpus {
    let options = SynthOptions {
        vocab_size: 60,
        classes: 4,
        order: 1,
        train_tokens: 3000,
        valid_tokens: 300,
        test_tokens: 300,
        ..SynthOptions::default()
    };
    synthesize(&options, &folder.join("corpus")).unwrap()
}

pub(super) fn config(corpus: &Corpus, training: &str, output: &str) -> RunConfig {
    // Tests run side by side: more threads each would only wait for one another.
    tch::set_num_threads(1);
    let usual = r#"{"batch": 4, "bptt": 7, "optimizer": {"kind": "adam"}, "learning_rate": 0.01,
        "budget": {"tokens": 2000}, "eval_points": 4, "seeds": [1], "threads": 1, "init_range": 0.1}"#;
    let mut merged: serde_json::Value = serde_json::from_str(usual).unwrap();
    let own: serde_json::Value = serde_json::from_str(training).unwrap();
    for (key, value) in own.as_object().unwrap() {
        merged[key] = value.clone();
    }
    let training: TrainingConfig = serde_json::from_value(merged).unwrap();
    RunConfig {
        corpus: corpus.hash().to_owned(),
        backbone: BackboneConfig::Lstm(LstmConfig { embedding: 12, hidden: 12, layers: 2, dropout: 0.1 }),
        output: serde_json::from_str(output).unwrap(),
        training,
        seed: 1,
        device: "cpu".to_owned(),
    }
}

pub(super) fn id() -> RunId {
    RunId::of_config(&serde_json::json!("test"))
}

pub(super) const FULL: &str = r#"{"layer": "full"}"#;
pub(super) const TIED: &str = r#"{"layer": "full", "tied": true}"#;
pub(super) const SAMPLED: &str = r#"{"layer": "sampled", "objective": "sampled-softmax", "samples": 10}"#;

#[test]
fn training_learns_and_the_curve_is_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let config = config(&corpus, r#"{"budget": {"epochs": 3}}"#, FULL);
    let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("c")).unwrap();
    assert_eq!(trainer.run(&mut Until::never()).unwrap(), TrainingEnd::BudgetUsed);
    let curve = &trainer.progress.curve;
    // 749 rows in windows of 7: 107 steps a pass.
    assert_eq!((curve.len(), trainer.progress.step, trainer.progress.tokens), (4, 321, 3 * 749 * 4));
    assert!(
        curve
            .windows(2)
            .all(|pair| pair[0].step < pair[1].step && pair[0].train_seconds < pair[1].train_seconds)
    );
    let (first, last) = (&curve[0], &curve[3]);
    assert!(last.valid_nll < first.valid_nll - 0.05, "{} to {}", first.valid_nll, last.valid_nll);
    assert!(last.valid_nll < 60_f64.ln() && last.valid_tokens == 290, "{last:?}");
    let test = trainer.score(Split::Test, Some(100), &mut Until::never()).unwrap().unwrap();
    assert_eq!(test.nll.tokens(), 90);
    assert!(test.true_nats.unwrap() > 0.0 && test.true_nats.unwrap() < test.nll.nats());
}

#[test]
fn mixed_precision_trains_f32_parameters_and_stays_close_to_f32() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let nll = |dtype: &str, output: &str| {
        let training = format!(r#"{{"dtype": "{dtype}", "budget": {{"epochs": 2}}}}"#);
        let config = config(&corpus, &training, output);
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("c")).unwrap();
        assert!(trainer.learner.model.parameters().iter().all(|(_, tensor)| tensor.kind() == Kind::Float));
        trainer.run(&mut Until::never()).unwrap();
        trainer.progress.curve.last().unwrap().valid_nll
    };
    for output in [FULL, TIED, SAMPLED, r#"{"layer": "mos", "components": 2}"#] {
        let (single, mixed) = (nll("f32", output), nll("bf16", output));
        assert!(single != mixed, "{output}: nothing is rounded");
        assert!((mixed / single - 1.0).abs() < 0.01, "{output}: {mixed} in bf16 and {single} in f32");
    }
}

#[test]
fn a_run_that_was_interrupted_ends_like_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    for (index, (output, optimizer, sparse)) in [
        (FULL, r#""kind": "adam""#, false),
        (SAMPLED, r#""kind": "adagrad""#, true),
        (TIED, r#""kind": "sgd""#, true),
        (SAMPLED, r#""kind": "adam", "lazy": true"#, true),
        (FULL, r#""kind": "sgd", "momentum": 0.5"#, true),
    ]
    .into_iter()
    .enumerate()
    {
        let training = format!(
            r#"{{"optimizer": {{{optimizer}}}, "plateau": {{}}, "clip": 0.5, "sparse_gradients": {sparse}}}"#
        );
        let config = config(&corpus, &training, output);
        let run = |name: &str, stops: &[u64]| {
            let file = folder.path().join(format!("{index}-{name}"));
            for &steps in stops {
                let mut trainer = Trainer::new(&config, &id(), &corpus, file.clone()).unwrap();
                assert_eq!(trainer.run(&mut Until::steps(steps)).unwrap(), TrainingEnd::Stopped);
            }
            let mut trainer = Trainer::new(&config, &id(), &corpus, file).unwrap();
            assert_eq!(trainer.progress.step > 0, !stops.is_empty());
            assert_eq!(trainer.run(&mut Until::never()).unwrap(), TrainingEnd::BudgetUsed);
            trainer
        };
        // The second stop falls in the scoring of a curve point, which is then made by the third
        // start.
        let (whole, parts) = (run("whole", &[]), run("parts", &[5, 16, 9]));
        assert_eq!(whole.learner.model.parameters(), parts.learner.model.parameters());
        let plain = |trainer: &Trainer<'_>| {
            let points = trainer.progress.curve.iter();
            points.map(|p| (p.step, p.tokens, p.train_loss, p.valid_nll, p.learning_rate)).collect::<Vec<_>>()
        };
        assert_eq!(plain(&whole), plain(&parts));
        assert_eq!(whole.progress.learning_rate, parts.progress.learning_rate);
    }
}

#[test]
fn seeds_and_dropout_change_the_run_and_threads_do_not_enter_it() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let loss = |seed: u64, dropout: f64| {
        let mut config = config(&corpus, r#"{"budget": {"tokens": 200}}"#, FULL);
        config.seed = seed;
        config.backbone = BackboneConfig::Lstm(LstmConfig { embedding: 12, hidden: 12, layers: 1, dropout });
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("none")).unwrap();
        trainer.run(&mut Until::never()).unwrap();
        trainer.progress.curve.last().unwrap().valid_nll
    };
    assert_eq!(loss(1, 0.0), loss(1, 0.0));
    assert_ne!(loss(1, 0.0), loss(2, 0.0));
    assert_ne!(loss(1, 0.0), loss(1, 0.5));
}

#[test]
fn the_learning_rate_falls_when_validation_does_not_improve() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    // A rate so small that validation moves by less than the threshold.
    let training = r#"{"learning_rate": 1e-9, "optimizer": {"kind": "sgd"}, "plateau": {"factor": 0.5, "threshold": 0.1}}"#;
    let config = config(&corpus, training, FULL);
    let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("c")).unwrap();
    trainer.run(&mut Until::never()).unwrap();
    let rates: Vec<f64> = trainer.progress.curve.iter().map(|point| point.learning_rate).collect();
    assert_eq!(rates, [1e-9, 1e-9, 5e-10, 2.5e-10]);
}

#[test]
fn a_run_that_diverges_says_at_which_step() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let training = r#"{"learning_rate": 3e38, "optimizer": {"kind": "sgd"}}"#;
    for output in [FULL, SAMPLED] {
        let config = config(&corpus, training, output);
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("c")).unwrap();
        let error = trainer.run(&mut Until::never()).unwrap_err();
        assert!(error.step().is_some_and(|step| (2..20).contains(&step)), "{error}");
        assert!(error.to_string().contains("step"), "{error}");
    }
}

#[test]
fn sum_and_mean_give_one_loss_per_token_and_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let first_loss = |reduction: &str| {
        let output = format!(r#"{{"layer": "full", "loss": {{"reduction": "{reduction}"}}}}"#);
        let config = config(&corpus, r#"{"budget": {"tokens": 28}}"#, &output);
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("none"))?;
        trainer.run(&mut Until::never())?;
        Ok::<f64, LabError>(trainer.progress.curve[0].train_loss)
    };
    let (sum, mean) = (first_loss("sum").unwrap(), first_loss("mean").unwrap());
    assert!((sum - mean).abs() < 1e-6 * mean, "{sum} {mean}");
    let refused = first_loss("none").unwrap_err().to_string();
    assert!(refused.contains("loss.reduction"), "{refused}");
}

#[test]
fn every_layer_of_the_registry_trains_scores_and_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    for output in [
        FULL,
        SAMPLED,
        r#"{"layer": "hierarchical"}"#,
        r#"{"layer": "adaptive", "cutoffs": [10, 30]}"#,
        r#"{"layer": "mos", "components": 2}"#,
        r#"{"layer": "sigsoftmax"}"#,
    ] {
        let config = config(&corpus, r#"{"budget": {"tokens": 400}, "eval_points": 1}"#, output);
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("none")).unwrap();
        trainer.run(&mut Until::never()).unwrap();
        let nll = trainer.progress.curve[0].valid_nll;
        assert!(nll > 0.0 && nll < 60_f64.ln() + 0.5, "{output}: {nll}");
        let timings = trainer.time_layer().unwrap();
        assert!(timings.layer_ms_per_step > 0.0 && timings.top_k_ms > 0.0, "{output}: {timings:?}");
    }
}

#[test]
fn budgets_end_at_the_first_step_that_reaches_them() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let steps = |budget: &str| {
        let config = config(&corpus, &format!(r#"{{"budget": {budget}, "eval_points": 1}}"#), FULL);
        let mut trainer = Trainer::new(&config, &id(), &corpus, folder.path().join("none")).unwrap();
        trainer.run(&mut Until::never()).unwrap();
        (trainer.progress.step, trainer.progress.train_seconds)
    };
    assert_eq!(steps(r#"{"tokens": 57}"#).0, 3);
    assert_eq!(steps(r#"{"epochs": 1}"#).0, 107);
    let (count, seconds) = steps(r#"{"seconds": 0.05}"#);
    // How long the last step takes is the machine's affair.
    assert!(count > 0 && seconds >= 0.05, "{count} steps in {seconds} s");
    assert_eq!(config(&corpus, r#"{"budget": {"seconds": 2}}"#, FULL).training.budget, Budget::Seconds(2.0));
}

#[test]
fn a_checkpoint_that_does_not_fit_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let config = config(&corpus, "{}", FULL);
    let file = folder.path().join("c");
    let mut trainer = Trainer::new(&config, &id(), &corpus, file.clone()).unwrap();
    assert_eq!(trainer.run(&mut Until::steps(3)).unwrap(), TrainingEnd::Stopped);
    let load = || Checkpoint::load(&file, &id(), tch::Device::Cpu).unwrap().unwrap();
    let state = |shape: &[i64]| Tensor::zeros(shape, (tch::Kind::Float, tch::Device::Cpu));
    let rows = trainer.streams.rows();
    let sound = load();
    for (what, words) in
        [("row", "stands at row"), ("none", "without a carried state"), ("state", "a carried state")]
    {
        sound.save(&file).unwrap();
        let mut changed = load();
        match what {
            "row" => changed.progress.row = rows,
            "none" => changed.state = None,
            _ => changed.state = Some(vec![state(&[1, 4, 12]), state(&[1, 4, 12]), state(&[1, 4, 11])]),
        }
        changed.save(&file).unwrap();
        let error = Trainer::new(&config, &id(), &corpus, file.clone()).unwrap_err().to_string();
        assert!(error.contains("checkpoint") && error.contains(words), "{error}");
    }
    sound.save(&file).unwrap();
    assert!(Trainer::new(&config, &id(), &corpus, file.clone()).is_ok());
}

#[test]
fn a_run_goes_on_with_the_library_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let config = config(&corpus, "{}", FULL);
    let file = folder.path().join("c");
    let mut trainer = Trainer::new(&config, &id(), &corpus, file.clone()).unwrap();
    assert!(trainer.progress.products.is_some());
    assert_eq!(trainer.run(&mut Until::steps(2)).unwrap(), TrainingEnd::Stopped);
    for name in ["gemm", "blas"] {
        let mut saved = Checkpoint::load(&file, &id(), tch::Device::Cpu).unwrap().unwrap();
        saved.progress.products = Some(name.to_owned());
        saved.save(&file).unwrap();
        let trainer = Trainer::new(&config, &id(), &corpus, file.clone()).unwrap();
        assert_eq!(trainer.progress.products.as_deref(), Some(name));
        assert_eq!(trainer.learner.model.products, Some(name));
    }
    let mut saved = Checkpoint::load(&file, &id(), tch::Device::Cpu).unwrap().unwrap();
    saved.progress.products = Some("abacus".to_owned());
    saved.save(&file).unwrap();
    let error = Trainer::new(&config, &id(), &corpus, file).unwrap_err().to_string();
    assert!(error.contains("`abacus`, expected `gemm` or `blas`"), "{error}");
}
