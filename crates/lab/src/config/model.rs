//! The `[backbone]` section.

use serde::{Deserialize, Serialize};

/// The model below the output layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum BackboneConfig {
    /// A stack of LSTM layers.
    Lstm(LstmConfig),
    /// A feed-forward n-gram model.
    Ngram(NgramConfig),
}

/// LSTM language model. Sharing the embedding with the output layer is the layer's option `tied`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Width of the word embedding, `E`.
    pub embedding: i64,
    /// Width of every layer, `D`.
    pub hidden: i64,
    /// Number of layers.
    #[serde(default = "one")]
    pub layers: usize,
    /// Probability that an element of the embedding, of a layer's output or of the last output is dropped.
    #[serde(default)]
    pub dropout: f64,
}

/// Feed-forward n-gram language model (Bengio et al. 2003).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NgramConfig {
    /// How many words the model looks back at, `n - 1`.
    pub context: i64,
    /// Width of the word embedding, `E`.
    pub embedding: i64,
    /// Width of the hidden layer, `D`.
    pub hidden: i64,
    /// Probability that an element of the embedding or of the hidden layer is dropped.
    #[serde(default)]
    pub dropout: f64,
}

fn one() -> usize {
    1
}

impl BackboneConfig {
    /// Checks the sizes; the error says which key, what was given and what was expected.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let size = |name: &str, value: i64| match value {
            1.. => Ok(()),
            _ => Err(format!("`{name}` is {value}, expected at least 1")),
        };
        let (embedding, hidden, dropout) = match self {
            Self::Lstm(lstm) => {
                size("layers", i64::try_from(lstm.layers).unwrap_or(i64::MAX))?;
                (lstm.embedding, lstm.hidden, lstm.dropout)
            }
            Self::Ngram(ngram) => {
                size("context", ngram.context)?;
                (ngram.embedding, ngram.hidden, ngram.dropout)
            }
        };
        size("embedding", embedding)?;
        size("hidden", hidden)?;
        if (0.0..1.0).contains(&dropout) {
            Ok(())
        } else {
            Err(format!("`dropout` is {dropout}, expected 0 <= dropout < 1"))
        }
    }
}
