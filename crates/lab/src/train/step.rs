//! One step of training: the next window, and where training stands after it.

use std::time::Instant;

use super::Trainer;
use crate::machine::synchronize;
use crate::{LabError, Result};

impl Trainer<'_> {
    /// One step, timed; returns the loss in nats per token.
    pub(super) fn step(&mut self) -> Result<f64> {
        let started = Instant::now();
        let step = self.progress.step + 1;
        let at_step = |error: LabError| match error {
            diverged @ LabError::Diverged { .. } => diverged,
            other => LabError::Step { step, source: Box::new(other) },
        };
        let (config, device) = (self.config, self.learner.model.device());
        let window = self.streams.window(self.progress.row, config.training.bptt, device).map_err(at_step)?;
        let (loss, state) = self
            .learner
            .update(config, &window, self.state.as_ref(), step, self.progress.learning_rate)
            .map_err(at_step)?;
        self.state = Some(state);
        let rows = window.rows;
        let tokens = (rows * self.streams.batch()) as u64;
        self.progress.step = step;
        self.progress.tokens += tokens;
        self.progress.row += rows;
        self.progress.loss_sum += loss * tokens as f64;
        self.progress.loss_tokens += tokens;
        if self.progress.row >= self.streams.rows() {
            self.progress.row = 0;
            self.state = None;
        }
        if step.is_multiple_of(config.training.refresh_steps) {
            self.learner.model.layer.refresh().map_err(LabError::from).map_err(at_step)?;
        }
        synchronize(device);
        self.progress.train_seconds += started.elapsed().as_secs_f64();
        Ok(loss)
    }
}
