//! A whole training step of a language model: embedding, two LSTM layers, output layer, clipping, SGD.
//!
//! The model of `benches/peers/word_language_model.py` on a stream of ids that follow Zipf's law, the same on every side, so
//! that no corpus is needed.

use anyhow::{Context, Result, ensure};
use lexmax::kernels::seed::generator;
use lexmax::output::fused::Compute;
use lexmax_lab::RunConfig;
use lexmax_lab::backbone::State;
use lexmax_lab::batch::Streams;
use lexmax_lab::train::Learner;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::subject::{CHECKED, TOLERANCE};
use crate::{Layer, Sizes, inputs};

/// Steps of back-propagation through time of a window, `T`; a batch of `N` rows has `N / T` streams.
pub const BPTT: i64 = 35;
/// Windows that take turns.
const WINDOWS: i64 = 8;
/// Small enough that hundreds of steps on a few windows stay finite; what a step costs does not depend on it.
const LEARNING_RATE: f64 = 1.0;

/// A model, its tokens and where it stands.
#[derive(Debug)]
pub struct LanguageModel {
    learner: Learner,
    config: RunConfig,
    tokens: Vec<u32>,
    state: Option<State>,
    step: u64,
}

impl LanguageModel {
    /// Builds the model: embedding and two LSTM layers of the sizes' width, `N / 35` streams of ids.
    ///
    /// # Errors
    /// Rows that are no multiple of 35; the model cannot be built.
    pub fn new(layer: Layer, compute: Compute, sizes: Sizes) -> Result<Self> {
        let Sizes { rows, width, classes } = sizes;
        ensure!(rows % BPTT == 0, "--rows {rows}: expected a multiple of {BPTT}, the length of a window");
        let streams = rows / BPTT;
        let config = config(layer, compute, sizes, streams).with_context(|| {
            format!("the configuration of a language model with {}, width {width}", layer.name())
        })?;
        let learner = Learner::new(&config, &inputs::counts(classes)?, Device::Cpu)?;
        let ids = inputs::zipf_ids(streams * (WINDOWS * BPTT + 1), classes);
        let tokens = ids.into_iter().map(u32::try_from).collect::<std::result::Result<_, _>>()?;
        Ok(Self { learner, config, tokens, state: None, step: 0 })
    }

    /// One step on the next window.
    ///
    /// # Errors
    /// The loss is not finite, or a part of the model reports an error.
    pub fn run(&mut self) -> Result<()> {
        let (batch, bptt) = (self.config.training.batch, self.config.training.bptt);
        let streams = Streams::new(&self.tokens, batch).context("too few tokens")?;
        let window = streams.window((self.step as usize * bptt) % streams.rows(), bptt, Device::Cpu)?;
        self.step += 1;
        let state = self.state.as_ref();
        let (_, state) = self.learner.update(&self.config, &window, state, self.step, LEARNING_RATE)?;
        self.state = Some(state);
        Ok(())
    }

    /// Compares the output layer's loss on some hidden states of the model with the definition: the reference path in f64. Returns
    /// the relative deviation.
    ///
    /// # Errors
    /// The answer is wrong, or a layer reports an error.
    pub fn check(&mut self) -> Result<f64> {
        let _guard = tch::no_grad_guard();
        let streams = Streams::new(&self.tokens, self.config.training.batch).context("too few tokens")?;
        let window = streams.window(0, 1, Device::Cpu)?;
        let rows = window.targets.size()[0].min(CHECKED);
        let hidden =
            self.learner.model.backbone.forward(&window.inputs, None, None)?.0.f_narrow(0, 0, rows)?;
        let targets = window.targets.f_narrow(0, 0, rows)?;
        let mut double = self.config.clone();
        double.training.dtype = lexmax_lab::config::Dtype::F64;
        double.training.compute = Compute::Reference;
        let mut truth =
            Learner::new(&double, &inputs::counts(self.learner.model.layer.vocab_size())?, Device::Cpu)?;
        for ((_, to), (_, from)) in truth.model.parameters().iter_mut().zip(self.learner.model.parameters()) {
            to.f_copy_(&from)?;
        }
        let loss = |learner: &mut Learner, hidden: &Tensor| {
            learner.model.layer.loss(hidden, &targets, &mut generator(1, "check", 0))?.value()
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
        "corpus": "ids by Zipf's law",
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
            let mut model = LanguageModel::new(layer, Compute::Fastest, sizes).unwrap();
            for _ in 0..2 * WINDOWS {
                model.run().unwrap();
            }
            assert!(model.check().unwrap() < 1e-4, "{layer:?}");
        }
        let mut model = LanguageModel::new(Layer::Full, Compute::Fastest, sizes).unwrap();
        let other = LanguageModel::new(Layer::Adaptive, Compute::Fastest, sizes).unwrap();
        model.learner.model.layer = other.learner.model.layer;
        assert!(model.check().unwrap_err().to_string().contains("off from f64"));
        let odd = Sizes { rows: 36, ..sizes };
        assert!(
            LanguageModel::new(Layer::Full, Compute::Fastest, odd).unwrap_err().to_string().contains("35")
        );
    }
}
