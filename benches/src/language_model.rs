//! A whole training step of a language model: embedding, two LSTM layers, output layer, clipping,
//! SGD.
//!
//! The model of `benches/peers/word_language_model.py` on the training split of a corpus, or, so
//! that none is needed, on ids that follow Zipf's law; the same ids on every side.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lexmax::kernels::seed::generator;
use lexmax::output::WordCounts;
use lexmax::output::fused::Compute;
use lexmax_corpus::{Corpus, Split};
use lexmax_lab::RunConfig;
use lexmax_lab::backbone::State;
use lexmax_lab::batch::Streams;
use lexmax_lab::train::Learner;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::subject::{CHECKED, TOLERANCE};
use crate::{Layer, Sizes, inputs};

/// Steps of back-propagation through time of a window, `T`; a batch of `N` rows has `N / T`
/// streams.
pub const BPTT: i64 = 35;
/// Windows of ids by Zipf's law; they take turns. Those of a corpus are read one after another.
const WINDOWS: i64 = 8;
/// Small enough that hundreds of steps on a few windows stay finite; what a step costs does not
/// depend on it.
const LEARNING_RATE: f64 = 1.0;

/// Text that the model reads.
#[derive(Debug)]
pub struct Text {
    tokens: Vec<u32>,
    counts: WordCounts,
}

impl Text {
    /// Ids by Zipf's law for a few windows of `rows / 35` streams.
    ///
    /// # Errors
    /// More classes than ids can tell apart.
    pub fn zipf(sizes: Sizes) -> Result<Self> {
        let ids = inputs::zipf_ids(sizes.rows / BPTT * (WINDOWS * BPTT + 1), sizes.classes);
        let tokens = ids.into_iter().map(u32::try_from).collect::<std::result::Result<_, _>>()?;
        Ok(Self { tokens, counts: inputs::counts(sizes.classes)? })
    }

    /// The training split of a corpus.
    ///
    /// # Errors
    /// The folder holds no corpus, or a damaged one.
    pub fn of_corpus(folder: &Path) -> Result<(String, Self)> {
        let corpus = Corpus::open(folder)?;
        let counts = WordCounts::new(corpus.vocab().counts().to_vec())?;
        Ok((corpus.name().to_owned(), Self { tokens: corpus.tokens(Split::Train).to_vec(), counts }))
    }
}

/// A model, its text and where it stands.
#[derive(Debug)]
pub struct LanguageModel {
    learner: Learner,
    config: RunConfig,
    text: Text,
    state: Option<State>,
    step: u64,
}

impl LanguageModel {
    /// Builds the model: embedding and two LSTM layers of the sizes' width, `N / 35` streams of the
    /// text.
    ///
    /// # Errors
    /// Rows that are no multiple of 35; a text of another number of classes; the model cannot be
    /// built.
    pub fn new(layer: Layer, compute: Compute, sizes: Sizes, text: Text) -> Result<Self> {
        let Sizes { rows, width, classes } = sizes;
        let counted = text.counts.vocab_size();
        ensure!(counted == classes, "--classes {classes}: expected {counted}, the words of the corpus");
        ensure!(rows % BPTT == 0, "--rows {rows}: expected a multiple of {BPTT}, the length of a window");
        let streams = rows / BPTT;
        let config = config(layer, compute, sizes, streams).with_context(|| {
            format!("the configuration of a language model with {}, width {width}", layer.name())
        })?;
        let learner = Learner::new(&config, &text.counts, Device::Cpu, None)?;
        Ok(Self { learner, config, text, state: None, step: 0 })
    }

    /// One step on the next window.
    ///
    /// # Errors
    /// The loss is not finite, or a part of the model reports an error.
    pub fn run(&mut self) -> Result<()> {
        let (batch, bptt) = (self.config.training.batch, self.config.training.bptt);
        let streams = Streams::new(&self.text.tokens, batch).context("too few tokens")?;
        let window = streams.window((self.step as usize * bptt) % streams.rows(), bptt, Device::Cpu)?;
        self.step += 1;
        let state = self.state.as_ref();
        let (_, state) = self.learner.update(&self.config, &window, state, self.step, LEARNING_RATE)?;
        self.state = Some(state);
        Ok(())
    }

    /// Compares the output layer's loss on some hidden states of the model with the definition: the
    /// reference path in f64. Returns the relative deviation.
    ///
    /// # Errors
    /// The answer is wrong, or a layer reports an error.
    pub fn check(&mut self) -> Result<f64> {
        let _guard = tch::no_grad_guard();
        let streams =
            Streams::new(&self.text.tokens, self.config.training.batch).context("too few tokens")?;
        let window = streams.window(0, 1, Device::Cpu)?;
        let rows = window.targets.size()[0].min(CHECKED);
        let hidden =
            self.learner.model.backbone.forward(&window.inputs, None, None)?.0.f_narrow(0, 0, rows)?;
        let targets = window.targets.f_narrow(0, 0, rows)?;
        let mut double = self.config.clone();
        double.training.dtype = lexmax_lab::config::Dtype::F64;
        double.training.compute = Compute::Reference;
        let mut truth = Learner::new(&double, &self.text.counts, Device::Cpu, None)?;
        for ((_, to), (_, from)) in truth.model.parameters().iter_mut().zip(self.learner.model.parameters()) {
            to.f_copy_(&from)?;
        }
        let loss = |learner: &mut Learner, hidden: &Tensor| {
            learner.model.layer.loss_with(hidden, &targets, &mut generator(1, "check", 0))?.value()
        };
        let given = loss(&mut self.learner, &hidden)?;
        let expected = loss(&mut truth, &hidden.f_to_kind(Kind::Double)?)?;
        let deviation = (given - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
        let layer = self.learner.model.layer.name();
        ensure!(
            deviation < TOLERANCE,
            "{layer} language-model: off from f64 by {deviation}, expected less than {TOLERANCE}"
        );
        Ok(deviation)
    }
}

fn config(layer: Layer, compute: Compute, sizes: Sizes, streams: i64) -> Result<RunConfig> {
    Ok(serde_json::from_value(json!({
        "corpus": "of the bench",
        "backbone": {
            "kind": "lstm", "embedding": sizes.width, "hidden": sizes.width, "layers": 2, "dropout": 0.2,
        },
        "output": layer.config(sizes.classes)?,
        "training": {
            "batch": streams, "bptt": BPTT, "optimizer": {"kind": "sgd"}, "learning_rate": LEARNING_RATE,
            "clip": 0.25, "budget": {"epochs": 1}, "compute": compute, "seeds": [1],
        },
        "seed": 1,
        "device": "cpu",
    }))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_layer_trains_in_a_model_and_a_wrong_answer_is_seen() {
        let sizes = Sizes { rows: 70, width: 8, classes: 2500 };
        for layer in Layer::ALL {
            let mut model = model(layer, sizes).unwrap();
            for _ in 0..2 * WINDOWS {
                model.run().unwrap();
            }
            assert!(model.check().unwrap() < 1e-4, "{layer:?}");
        }
        let mut full = model(Layer::Full, sizes).unwrap();
        full.learner.model.layer = model(Layer::Adaptive, sizes).unwrap().learner.model.layer;
        assert!(full.check().unwrap_err().to_string().contains("off from f64"));
        let odd = Sizes { rows: 36, ..sizes };
        assert!(model(Layer::Full, odd).unwrap_err().to_string().contains("35"));
    }

    fn model(layer: Layer, sizes: Sizes) -> Result<LanguageModel> {
        LanguageModel::new(layer, Compute::Fastest, sizes, Text::zipf(sizes)?)
    }

    #[test]
    fn a_corpus_is_read_from_its_beginning_and_has_its_own_classes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny");
        let options = lexmax_corpus::SynthOptions {
            vocab_size: 60,
            classes: 4,
            train_tokens: 500,
            ..lexmax_corpus::SynthOptions::default()
        };
        lexmax_corpus::synthesize(&options, &path).unwrap();
        let (name, text) = Text::of_corpus(&path).unwrap();
        assert_eq!((name.as_str(), text.tokens.len()), ("tiny", 500));
        let sizes = Sizes { rows: 70, width: 8, classes: 60 };
        let mut model = LanguageModel::new(Layer::Sampled, Compute::Fastest, sizes, text).unwrap();
        assert!(model.check().unwrap() < 1e-4);
        model.run().unwrap();
        let text = Text::of_corpus(&path).unwrap().1;
        let other = Sizes { classes: 61, ..sizes };
        let error = LanguageModel::new(Layer::Full, Compute::Fastest, other, text).unwrap_err().to_string();
        assert!(error.contains("--classes 61: expected 60"), "{error}");
    }
}
