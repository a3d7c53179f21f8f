//! A model with its optimizer: loss, gradients and update on one window of tokens.

use lexmax_kernels::product::ProductLibrary;
use lexmax_kernels::seed::generator;
use lexmax_optim::{Optimizer, clip_factor, grad_norm};
use lexmax_output::WordCounts;
use tch::{Device, Tensor};

use super::Model;
use crate::backbone::{Dropout, State};
use crate::batch::Window;
use crate::plan::RunConfig;
use crate::{LabError, Result};

/// Model and optimizer: everything that a training step changes.
#[derive(Debug)]
pub struct Learner {
    /// The model.
    pub model: Model,
    pub(super) parameters: Vec<(String, Tensor)>,
    pub(super) optimizer: Optimizer,
}

impl Learner {
    /// Builds model and optimizer of a run, as [`Model::new`] does.
    ///
    /// # Errors
    /// An option that the layer or the optimizer refuses.
    pub fn new(
        config: &RunConfig,
        counts: &WordCounts,
        device: Device,
        products: Option<ProductLibrary>,
    ) -> Result<Self> {
        let model = Model::new(config, counts, device, products)?;
        let parameters = model.parameters();
        let copies = parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let optimizer = Optimizer::new(copies, &config.training.optimizer)?;
        Ok(Self { model, parameters, optimizer })
    }

    /// Loss, gradients and update on one window, which the carried state (none at the start of a
    /// pass) comes before. Dropout and negatives are drawn from the run's seed and the number of
    /// the step. Returns the loss as the layer reduces it and the state to carry on.
    ///
    /// # Errors
    /// A loss or gradient that is not finite; a layer that refuses its input.
    pub fn update(
        &mut self,
        config: &RunConfig,
        window: &Window,
        state: Option<&State>,
        step: u64,
        learning_rate: f64,
    ) -> Result<(f64, State)> {
        let seed = config.seed;
        self.optimizer.zero_grad()?;
        let mut dropout = Dropout::new(self.model.backbone.dropout(), seed, step);
        let (hidden, state) = self.model.backbone.forward(&window.inputs, state, Some(&mut dropout))?;
        let loss =
            self.model.layer.loss_with(&hidden, &window.targets, &mut generator(seed, "negatives", step))?;
        let value = loss.value()?;
        if !value.is_finite() {
            return Err(LabError::Diverged { step, what: "the training loss", value });
        }
        loss.backward()?;
        let mut scale = 1.0;
        if let Some(clip) = config.training.clip {
            let norm = grad_norm(&self.parameters)?;
            if !norm.is_finite() {
                return Err(LabError::Diverged { step, what: "the norm of the gradients", value: norm });
            }
            scale = clip_factor(norm, clip)?;
        }
        self.optimizer.step_scaled(learning_rate, scale)?;
        Ok((value, state))
    }
}
