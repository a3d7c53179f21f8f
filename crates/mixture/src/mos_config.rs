//! Configuration of the mixture of softmaxes.

use lexmax_output::{LayerSizes, LossOptions, OutputError, Result, check_elements};
use serde::{Deserialize, Serialize};

use crate::MOS as NAME;

/// Options of [`crate::Mixture`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixtureConfig {
    /// Number of softmaxes, `K`.
    pub components: i64,
    /// Width `d` of the latent states that the class weight `[V, d]` multiplies; `D` where it is
    /// not given.
    pub latent_size: Option<i64>,
    /// Whether each class has a bias, the same in every component.
    pub bias: bool,
    /// Whether the class weight is the input embedding, which then has width `d`.
    pub tied: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

impl Default for MixtureConfig {
    fn default() -> Self {
        Self { components: 10, latent_size: None, bias: true, tied: false, loss: LossOptions::default() }
    }
}

impl MixtureConfig {
    /// Checks everything about the layer that can be known before it is built.
    ///
    /// # Errors
    /// As [`LayerSizes::check`] and [`MixtureConfig::validate`]; sizes that no machine holds; tying
    /// without an embedding `[V, d]`.
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        sizes.check(NAME, &self.loss)?;
        self.validate()?;
        let latent_size = self.latent_size.unwrap_or(sizes.hidden_size);
        check_elements(&[self.components, latent_size, sizes.hidden_size])?;
        check_elements(&[sizes.vocab_size, latent_size])?;
        if self.tied { sizes.check_tied(NAME, latent_size) } else { Ok(()) }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// No component, or a latent width below one.
    pub fn validate(&self) -> Result<()> {
        if self.components < 1 {
            return Err(OutputError::argument(NAME, "components", self.components, "at least 1 component"));
        }
        match self.latent_size {
            Some(size) if size < 1 => Err(OutputError::argument(NAME, "latent_size", size, "at least 1")),
            _ => Ok(()),
        }
    }
}
