//! One step: loss, gradients, update.

use std::time::Instant;

use lexmax_kernels::seed::generator;
use lexmax_optim::{clip_factor, grad_norm};

use super::Trainer;
use crate::backbone::Dropout;
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
        let (loss, rows) = self.update(step).map_err(at_step)?;
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
        if step.is_multiple_of(self.config.training.refresh_steps) {
            self.model.layer.refresh().map_err(LabError::from).map_err(at_step)?;
        }
        synchronize(self.model.device());
        self.progress.train_seconds += started.elapsed().as_secs_f64();
        Ok(loss)
    }

    /// Loss, gradients and update of one window; returns the loss per token and the window's rows.
    fn update(&mut self, step: u64) -> Result<(f64, usize)> {
        let (training, seed) = (&self.config.training, self.config.seed);
        let window = self.streams.window(self.progress.row, training.bptt, self.model.device())?;
        self.optimizer.zero_grad()?;
        let mut dropout = Dropout::new(self.model.backbone.dropout(), seed, step);
        let (hidden, state) =
            self.model.backbone.forward(&window.inputs, self.state.as_ref(), Some(&mut dropout))?;
        let loss =
            self.model.layer.loss(&hidden, &window.targets, &mut generator(seed, "negatives", step))?;
        let value = loss.value()?;
        if !value.is_finite() {
            return Err(LabError::Diverged { step, what: "the training loss", value });
        }
        loss.backward()?;
        let mut scale = 1.0;
        if let Some(clip) = training.clip {
            let norm = grad_norm(&self.parameters)?;
            if !norm.is_finite() {
                return Err(LabError::Diverged { step, what: "the norm of the gradients", value: norm });
            }
            scale = clip_factor(norm, clip);
        }
        self.optimizer.step_scaled(self.progress.learning_rate, scale)?;
        self.state = Some(state);
        let rows_counted = if self.model.sums_rows { window.targets.numel() as f64 } else { 1.0 };
        Ok((value / rows_counted, window.rows))
    }
}
