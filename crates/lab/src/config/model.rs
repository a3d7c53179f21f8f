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
    /// Probability that an element of the embedding, of a layer's output or of the last output is
    /// dropped.
    #[serde(default)]
    pub dropout: f64,
}

/// Feed-forward n-gram language model (Bengio et al. 2003).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NgramConfig {
    /// Number of preceding words that the model sees, `n - 1`.
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

/// Parameters beyond which a size is a slip of the pen: four terabytes of f32.
const MOST_PARAMETERS: f64 = (1_u64 << 40) as f64;

impl BackboneConfig {
    /// Width of the word embedding, `E`.
    pub fn embedding(&self) -> i64 {
        match self {
            Self::Lstm(lstm) => lstm.embedding,
            Self::Ngram(ngram) => ngram.embedding,
        }
    }

    /// Width of the hidden states, `D`.
    pub fn hidden(&self) -> i64 {
        match self {
            Self::Lstm(lstm) => lstm.hidden,
            Self::Ngram(ngram) => ngram.hidden,
        }
    }

    /// Checks the sizes; the error says which key, what was given and what was expected.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let size = |name: &str, value: i64| match value {
            1.. => Ok(()),
            _ => Err(format!("`{name}` is {value}, expected at least 1")),
        };
        let dropout = match self {
            Self::Lstm(lstm) => {
                size("layers", i64::try_from(lstm.layers).unwrap_or(i64::MAX))?;
                lstm.dropout
            }
            Self::Ngram(ngram) => {
                size("context", ngram.context)?;
                ngram.dropout
            }
        };
        size("embedding", self.embedding())?;
        size("hidden", self.hidden())?;
        // Of a vocabulary of one word, so that no number of words is needed to tell.
        self.check_parameters(1)?;
        if (0.0..1.0).contains(&dropout) {
            Ok(())
        } else {
            Err(format!("`dropout` is {dropout}, expected 0 <= dropout < 1"))
        }
    }

    /// Checks that a model over a vocabulary is one that a machine could hold.
    pub(crate) fn check_parameters(&self, vocab_size: i64) -> Result<(), String> {
        let (embedding, hidden) = (self.embedding() as f64, self.hidden() as f64);
        let parameters = vocab_size as f64 * embedding
            + match self {
                Self::Lstm(lstm) => {
                    let above = (lstm.layers as f64 - 1.0) * hidden;
                    4.0 * hidden * (embedding + above + lstm.layers as f64 * (hidden + 2.0))
                }
                Self::Ngram(ngram) => hidden * (ngram.context as f64 * embedding + 1.0),
            };
        if parameters <= MOST_PARAMETERS {
            return Ok(());
        }
        Err(format!("the sizes make {parameters:e} parameters, expected at most {MOST_PARAMETERS:e}"))
    }
}
