//! Backbone and output layer with all their parameters in one variable store.

use std::time::Instant;

use lexmax_kernels::product::ProductLibrary;
use lexmax_output::{BuildContext, ComputePath, OutputLayer, WordCounts};
use tch::{Device, Tensor, nn};

use crate::Result;
use crate::backbone::{self, Backbone};
use crate::check::check_reduction;
use crate::machine::synchronize;
use crate::plan::RunConfig;

/// A language model.
#[derive(Debug)]
pub struct Model {
    /// Words to hidden states.
    pub backbone: Box<dyn Backbone>,
    /// Hidden states to a distribution over the vocabulary.
    pub layer: Box<dyn OutputLayer>,
    /// Seconds that building the output layer took.
    pub setup_seconds: f64,
    /// Whether the output layer bounds its memory itself, and never holds logits of all classes for
    /// all rows.
    pub bounded: bool,
    /// Library of the fused path's matrix products; `None` on the other paths.
    pub products: Option<&'static str>,
    store: nn::VarStore,
}

impl Model {
    /// Builds the model of a run, which multiplies by the library given, or by the fastest on this
    /// machine.
    ///
    /// # Errors
    /// An option that the layer refuses; a reduction that gives one loss a row, which cannot be
    /// trained on.
    pub fn new(
        config: &RunConfig,
        counts: &WordCounts,
        device: Device,
        products: Option<ProductLibrary>,
    ) -> Result<Self> {
        check_reduction(config)?;
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
            products,
            precision: config.training.dtype.precision(),
            ..BuildContext::new(store.root().sub("output"), vocab_size, backbone.hidden_size(), config.seed)
        };
        let fused = context.is_fused();
        let products = fused.then(|| context.product_library()).transpose()?.map(|library| library.name());
        let layer = config.output.build(&context)?;
        let bounded = layer.compute_path() != ComputePath::Reference;
        synchronize(device);
        let setup_seconds = started.elapsed().as_secs_f64();
        Ok(Self { backbone, layer, setup_seconds, bounded, products, store })
    }

    /// Device of the parameters.
    pub fn device(&self) -> Device {
        self.store.device()
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
