//! Backbone and output layer with all their parameters in one variable store.

use std::time::Instant;

use lexmax_output::{BuildContext, OutputLayer, WordCounts};
use tch::{Device, Kind, Tensor, nn};

use crate::backbone::{self, Backbone};
use crate::machine::synchronize;
use crate::plan::RunConfig;
use crate::{LabError, Result};

/// A language model.
#[derive(Debug)]
pub struct Model {
    /// Words to hidden states.
    pub backbone: Box<dyn Backbone>,
    /// Hidden states to a distribution over the vocabulary.
    pub layer: Box<dyn OutputLayer>,
    /// Seconds that building the output layer took.
    pub setup_seconds: f64,
    /// Whether the output layer sweeps without holding logits of all classes.
    pub fused: bool,
    /// What the layer's loss is divided by for nats per token.
    divisor: Divisor,
    store: nn::VarStore,
}

impl Model {
    /// Builds the model of a run.
    ///
    /// # Errors
    /// An option that the layer refuses; a reduction that gives one loss a row, which cannot be trained on.
    pub fn new(config: &RunConfig, counts: &WordCounts, device: Device) -> Result<Self> {
        let mut store = nn::VarStore::new(device);
        store.set_kind(config.training.dtype.kind());
        let range = config.training.init_range;
        let path = store.root().sub("backbone");
        let sparse_gradients = config.training.uses_sparse_gradients(device);
        let vocab_size = counts.vocab_size();
        let backbone =
            backbone::build(&config.backbone, &path, vocab_size, range, config.seed, sparse_gradients)?;
        let started = Instant::now();
        let context = BuildContext {
            counts: Some(counts),
            embedding: Some(backbone.embedding().shallow_clone()),
            init_range: Some(range),
            compute: config.training.compute,
            sparse_gradients,
            workspace_bytes: config.training.workspace_bytes(),
            ..BuildContext::new(store.root().sub("output"), vocab_size, backbone.hidden_size(), config.seed)
        };
        let fused = context.is_fused();
        let layer = config.output.build(&context)?;
        synchronize(device);
        let setup_seconds = started.elapsed().as_secs_f64();
        let divisor = Divisor::of(config)?;
        Ok(Self { backbone, layer, setup_seconds, fused, divisor, store })
    }

    /// Device of the parameters.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// What the loss of a batch is divided by for nats per token.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn loss_divisor(&self, targets: &Tensor) -> Result<f64> {
        Ok(match self.divisor {
            Divisor::One => 1.0,
            Divisor::Rows { ignored: None } => targets.numel() as f64,
            Divisor::Rows { ignored: Some(ignored) } => {
                let counted = targets.f_ne(ignored)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
                counted.max(1) as f64
            }
        })
    }

    /// Every trainable parameter with its name, in the order of the names.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<(String, Tensor)> =
            self.store.variables().into_iter().filter(|(_, tensor)| tensor.requires_grad()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Trainable parameters, counted.
    pub fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum()
    }
}

/// How many rows are in the loss of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Divisor {
    /// It is their mean.
    One,
    /// It is their sum, over those whose target is not ignored.
    Rows { ignored: Option<i64> },
}

impl Divisor {
    /// Every layer has the shared options under `loss`, so they are read there.
    fn of(config: &RunConfig) -> Result<Self> {
        let json = serde_json::to_value(&config.output).unwrap_or_default();
        match json.pointer("/loss/reduction").and_then(serde_json::Value::as_str) {
            Some("sum") => {
                let ignored = json.pointer("/loss/ignore_index").and_then(serde_json::Value::as_i64);
                Ok(Self::Rows { ignored })
            }
            Some("none") => Err(LabError::Output(lexmax_output::OutputError::refused(
                config.output.layer(),
                "loss.reduction",
                "training needs one loss a batch, expected `mean` or `sum`",
            ))),
            _ => Ok(Self::One),
        }
    }
}
