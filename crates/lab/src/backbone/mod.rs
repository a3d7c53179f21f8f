//! Models below the output layer: words in, hidden states out.

mod dropout;
mod embedding;
mod init;
mod lstm;
mod ngram;

use std::fmt;

use tch::{Tensor, nn};

pub use dropout::Dropout;
pub use embedding::Embedding;
pub use lstm::Lstm;
pub use ngram::Ngram;

use crate::Result;
use crate::config::BackboneConfig;

/// Tensors that a backbone carries from one window of a stream to the next, without gradients.
pub type State = Vec<Tensor>;

/// A model from windows of words to hidden states.
pub trait Backbone: fmt::Debug {
    /// Width of the hidden states, `D`.
    fn hidden_size(&self) -> i64;

    /// The word embedding `[V, E]`, which an output layer may share.
    fn embedding(&self) -> &Tensor;

    /// Hidden states `[T B, D]` of inputs `[T, B]` and the state after them. Streams start where
    /// `state` is `None`; without `dropout` nothing is dropped.
    ///
    /// # Errors
    /// libtorch refused.
    fn forward(
        &self,
        inputs: &Tensor,
        state: Option<&State>,
        dropout: Option<&mut Dropout>,
    ) -> Result<(Tensor, State)>;

    /// Whether tensors, as from a file, are a state that this model could have carried for `batch`
    /// streams.
    fn takes_state(&self, state: &State, batch: i64) -> bool;

    /// Probability of dropping an element in training.
    fn dropout(&self) -> f64;
}

/// Builds the backbone of a configuration; its parameters are registered in `path`. The embedding
/// starts as uniform(-r, r) with `r` the `init_range`, and has row-sparse gradients where asked.
///
/// # Errors
/// libtorch refused.
pub fn build(
    config: &BackboneConfig,
    path: &nn::Path<'_>,
    vocab_size: i64,
    init_range: f64,
    seed: u64,
    sparse_gradients: bool,
) -> Result<Box<dyn Backbone>> {
    let embedding =
        Embedding::new(path, (vocab_size, config.embedding()), init_range, seed, sparse_gradients)?;
    Ok(match config {
        BackboneConfig::Lstm(config) => Box::new(Lstm::new(config, path, embedding, seed)?),
        BackboneConfig::Ngram(config) => Box::new(Ngram::new(config, path, embedding, seed)?),
    })
}

/// Applies dropout where there is any.
fn drop_out(tensor: Tensor, dropout: &mut Option<&mut Dropout>) -> Result<Tensor> {
    match dropout {
        Some(dropout) => dropout.apply(&tensor),
        None => Ok(tensor),
    }
}

#[cfg(test)]
mod tests;
