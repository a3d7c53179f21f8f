//! The feed-forward n-gram language model.

use tch::{Kind, Tensor, nn};

use super::init::uniform;
use super::{Backbone, Dropout, Embedding, State, drop_out};
use crate::Result;
use crate::config::NgramConfig;

/// `h_t = tanh(W [e_t; e_{t-1}; ...] + b)` over the embeddings of the last `context` words (Bengio
/// et al. 2003, "A Neural Probabilistic Language Model").
///
/// * Shapes: inputs `[T, B]`, embedding `[V, E]`, `W` `[D, context E]`, hidden states `[T B, D]`;
///   the state holds the last `context - 1` inputs `[., B]`. Words before the start of a stream
///   have the embedding zero.
#[derive(Debug)]
pub struct Ngram {
    pub(super) embedding: Embedding,
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    context: i64,
    hidden: i64,
    dropout: f64,
}

impl Ngram {
    /// Builds the model on an embedding of the configured width.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn new(config: &NgramConfig, path: &nn::Path<'_>, embedding: Embedding, seed: u64) -> Result<Self> {
        let inputs = config.context * config.embedding;
        let range = 1.0 / (inputs as f64).sqrt();
        Ok(Self {
            embedding,
            weight: uniform(path, "weight", &[config.hidden, inputs], range, seed)?,
            bias: uniform(path, "bias", &[config.hidden], range, seed)?,
            context: config.context,
            hidden: config.hidden,
            dropout: config.dropout,
        })
    }
}

impl Backbone for Ngram {
    fn hidden_size(&self) -> i64 {
        self.hidden
    }

    fn embedding(&self) -> &Tensor {
        &self.embedding.weight
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }

    fn takes_state(&self, state: &State, batch: i64) -> bool {
        let [words] = state.as_slice() else { return false };
        let shape = words.size();
        // A word outside the vocabulary is refused by the look-up at the next step.
        shape.len() == 2 && shape[0] < self.context && shape[1] == batch && words.kind() == Kind::Int64
    }

    fn forward(
        &self,
        inputs: &Tensor,
        state: Option<&State>,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<(Tensor, State)> {
        let (rows, batch) = (inputs.size()[0], inputs.size()[1]);
        let earlier = self.context - 1;
        let words = match state {
            Some(state) => Tensor::f_cat(&[&state[0], inputs], 0)?,
            None => inputs.shallow_clone(),
        };
        let known = words.size()[0];
        let mut embedded = drop_out(self.embedding.look_up(&words)?, &mut dropout)?;
        let missing = earlier + rows - known;
        if missing > 0 {
            let width = self.embedding.weight.size()[1];
            let zeros = Tensor::f_zeros([missing, batch, width], (embedded.kind(), embedded.device()))?;
            embedded = Tensor::f_cat(&[zeros, embedded], 0)?;
        }
        let back = |words: i64| Ok(embedded.f_narrow(0, earlier - words, rows)?);
        let shifted = (0..self.context).map(back).collect::<Result<Vec<Tensor>>>()?;
        let context = Tensor::f_cat(&shifted, -1)?.f_reshape([rows * batch, -1])?;
        let hidden = context.f_linear(&self.weight, Some(&self.bias))?.f_tanh()?;
        let keep = earlier.min(known);
        let after = words.f_narrow(0, known - keep, keep)?;
        Ok((drop_out(hidden, &mut dropout)?, vec![after]))
    }
}
