//! Times of the output layer.

use super::{Learner, Trainer};
use crate::Result;
use crate::measure::{layer_ms, top_k_ms};

/// Timings of an output layer on a real batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timings {
    /// Milliseconds of loss and gradients.
    pub layer_ms_per_step: f64,
    /// Milliseconds of an exact top 10.
    pub top_k_ms: f64,
    /// Rows of that query.
    pub top_k_rows: u64,
}

impl Trainer<'_> {
    /// Times the output layer on the first window of the training split, with the state that
    /// training stands at: the same targets for every layer, wherever its budget ended.
    ///
    /// # Errors
    /// libtorch or the layer refused.
    pub fn time_layer(&mut self) -> Result<Timings> {
        let Learner { model, optimizer, .. } = &mut self.learner;
        let window = self.streams.window(0, self.config.training.bptt, model.device())?;
        let hidden = {
            let _guard = tch::no_grad_guard();
            model.backbone.forward(&window.inputs, self.state.as_ref(), None)?.0
        };
        let layer = model.layer.as_ref();
        let layer_ms_per_step = layer_ms(layer, optimizer, &hidden, &window.targets, self.config.seed)?;
        let (top_k_ms, top_k_rows) = top_k_ms(layer, &hidden)?;
        Ok(Timings { layer_ms_per_step, top_k_ms, top_k_rows })
    }
}
