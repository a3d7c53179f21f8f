//! The LSTM language model.

use tch::{Tensor, nn};

use super::init::uniform;
use super::{Backbone, Dropout, Embedding, State, drop_out};
use crate::Result;
use crate::config::LstmConfig;

/// A stack of LSTM layers over a word embedding (Hochreiter & Schmidhuber 1997; the regularised
/// form of Zaremba et al. 2014, arXiv 1409.2329: dropout on the embedding, between the layers and
/// on the output, never along time).
///
/// * Shapes: inputs `[T, B]`, embedding `[V, E]`, hidden states `[T B, D]`; the state holds
///   `[1, B, D]` twice a layer.
/// * Every weight and bias of a layer starts as uniform(-1/sqrt D, 1/sqrt D), each layer with two
///   biases, as in PyTorch.
#[derive(Debug)]
pub struct Lstm {
    pub(super) embedding: Embedding,
    /// Input weight, recurrent weight, input bias, recurrent bias of each layer.
    pub(super) layers: Vec<[Tensor; 4]>,
    hidden: i64,
    dropout: f64,
}

impl Lstm {
    /// Builds the model on an embedding of the configured width.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn new(config: &LstmConfig, path: &nn::Path<'_>, embedding: Embedding, seed: u64) -> Result<Self> {
        let range = 1.0 / (config.hidden as f64).sqrt();
        let gates = 4 * config.hidden;
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let width = if layer == 0 { config.embedding } else { config.hidden };
            let make =
                |name: &str, shape: &[i64]| uniform(path, &format!("{name}_l{layer}"), shape, range, seed);
            layers.push([
                make("weight_ih", &[gates, width])?,
                make("weight_hh", &[gates, config.hidden])?,
                make("bias_ih", &[gates])?,
                make("bias_hh", &[gates])?,
            ]);
        }
        Ok(Self { embedding, layers, hidden: config.hidden, dropout: config.dropout })
    }
}

impl Backbone for Lstm {
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
        let fits = |tensor: &Tensor| {
            tensor.size() == [1, batch, self.hidden] && tensor.kind() == self.embedding.weight.kind()
        };
        state.len() == 2 * self.layers.len() && state.iter().all(fits)
    }

    fn forward(
        &self,
        inputs: &Tensor,
        state: Option<&State>,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<(Tensor, State)> {
        let batch = inputs.size()[1];
        let mut hidden = drop_out(self.embedding.look_up(inputs)?, &mut dropout)?;
        let mut after = Vec::with_capacity(2 * self.layers.len());
        for (layer, parameters) in self.layers.iter().enumerate() {
            let before = match state {
                Some(state) => [state[2 * layer].shallow_clone(), state[2 * layer + 1].shallow_clone()],
                None => {
                    let zeros = Tensor::f_zeros([1, batch, self.hidden], (hidden.kind(), hidden.device()))?;
                    [zeros.shallow_clone(), zeros]
                }
            };
            // One layer a call, so that the dropout between the layers is ours and not the global
            // generator's.
            let (has_biases, layers, no_dropout, train, bidirectional, batch_first) =
                (true, 1, 0.0, true, false, false);
            let (output, last_hidden, last_cell) = hidden.f_lstm(
                &before,
                parameters,
                has_biases,
                layers,
                no_dropout,
                train,
                bidirectional,
                batch_first,
            )?;
            after.extend([last_hidden.f_detach()?, last_cell.f_detach()?]);
            hidden = drop_out(output, &mut dropout)?;
        }
        Ok((hidden.f_reshape([-1, self.hidden])?, after))
    }
}
