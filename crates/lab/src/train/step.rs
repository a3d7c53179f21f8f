//! One step of training: the next window, and where training stands after it.

use std::time::Instant;

use super::{MeanLoss, Trainer};
use crate::machine::synchronize;
use crate::{LabError, Result};

impl Trainer<'_> {
    /// One step, timed; returns its mean loss.
    pub(super) fn step(&mut self) -> Result<MeanLoss> {
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
        let from = self.progress.row - rows;
        let targets = self.streams.targets(from, self.progress.row);
        let loss = MeanLoss::of_batch(loss, targets, config.output.loss_options());
        self.progress.loss.add(loss);
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
