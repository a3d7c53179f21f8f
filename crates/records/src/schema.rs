//! What one run leaves behind. Every negative log-likelihood here is exact: the natural-log probability of the true
//! token under the normalised distribution over all classes, never a training loss.

use serde::{Deserialize, Serialize};

use crate::RunId;

/// Version of the record layout. A reader refuses other versions by name instead of guessing.
pub const SCHEMA_VERSION: u32 = 1;

/// One run of an experiment: one output layer, one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Layout version, [`SCHEMA_VERSION`] when written.
    pub schema: u32,
    /// Hash of `config`.
    pub id: RunId,
    /// Name of the experiment (the file name without extension).
    pub experiment: String,
    /// Name of the output in the experiment file, unique there; a grid adds its values, as in `sampled S=256`.
    pub output: String,
    /// Family of the output layer: `full`, `sampled`, `hierarchical`, `adaptive` or `mixture`.
    pub family: String,
    /// Root seed of the run.
    pub seed: u64,
    /// The resolved configuration: everything that decides the result, with defaults filled in.
    pub config: serde_json::Value,
    /// Where it ran.
    pub environment: Environment,
    /// What it was trained on.
    pub corpus: CorpusFacts,
    /// Start of the run, seconds since the Unix epoch.
    pub started_unix: u64,
    /// How the run ended.
    pub status: RunStatus,
    /// Points of the learning curve, in order of steps.
    pub curve: Vec<CurvePoint>,
    /// Final figures; present exactly when the status is [`RunStatus::Finished`].
    pub result: Option<RunResult>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunStatus {
    /// The budget was used and the test set scored.
    Finished,
    /// The run broke; the others of the experiment went on.
    Failed {
        /// The error as it was shown.
        error: String,
        /// Training step at which it broke, where known.
        step: Option<u64>,
    },
}

/// The machine and the software of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Processor name.
    pub cpu: String,
    /// Logical cores of the machine.
    pub cores: usize,
    /// Threads that the run was given.
    pub threads: usize,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// Operating system and architecture, as in `linux x86_64`.
    pub os: String,
    /// Device of the tensors, `cpu` or `cuda:0`.
    pub device: String,
    /// Element type of the model, as in `f32`.
    pub dtype: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Version of lexmax.
    pub lexmax: String,
    /// Commit of the sources that lexmax was built from, where they are a git checkout; `-dirty` is appended when they
    /// differ from it.
    pub commit: Option<String>,
}

/// The corpus of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorpusFacts {
    /// Name of the corpus.
    pub name: String,
    /// Hash of its token files and vocabulary.
    pub hash: String,
    /// Number of classes V.
    pub vocab_size: usize,
    /// Tokens of the training split.
    pub train_tokens: u64,
    /// Tokens of the validation split.
    pub valid_tokens: u64,
    /// Tokens of the test split.
    pub test_tokens: u64,
}

/// One point of a learning curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Training steps taken.
    pub step: u64,
    /// Training tokens seen.
    pub tokens: u64,
    /// Seconds of training so far: the layer's own set-up counts, evaluation does not.
    #[serde(with = "crate::float")]
    pub train_seconds: f64,
    /// Mean training loss per token since the last point, in nats; a surrogate for layers that train on one.
    #[serde(with = "crate::float")]
    pub train_loss: f64,
    /// Exact negative log-likelihood of the validation tokens scored, in nats per token.
    #[serde(with = "crate::float")]
    pub valid_nll: f64,
    /// Validation tokens scored for this point.
    pub valid_tokens: u64,
    /// Learning rate in force.
    #[serde(with = "crate::float")]
    pub learning_rate: f64,
}

/// Final figures of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Exact negative log-likelihood of the test split, overall and by frequency band.
    pub test: BandedNll,
    /// Exact negative log-likelihood per token of the validation split (its first `max_valid_tokens` where the
    /// configuration says so), in nats.
    #[serde(with = "crate::float")]
    pub valid_nll: f64,
    /// True negative log-likelihood per token of the test tokens scored, in nats, where the language is synthetic.
    pub true_test_nll: Option<f64>,
    /// Seconds of training, layer set-up included, evaluation left out.
    #[serde(with = "crate::float")]
    pub train_seconds: f64,
    /// Part of `train_seconds` that the output layer's set-up took (trees, alias tables).
    #[serde(with = "crate::float")]
    pub setup_seconds: f64,
    /// Training steps taken.
    pub steps: u64,
    /// Training tokens seen.
    pub tokens: u64,
    /// Training tokens per second of `train_seconds` less `setup_seconds`.
    #[serde(with = "crate::float")]
    pub train_tokens_per_second: f64,
    /// Tokens per second of exact evaluation (backbone and output layer).
    #[serde(with = "crate::float")]
    pub eval_tokens_per_second: f64,
    /// Milliseconds per training step inside the output layer, loss and gradients, median of a timed sample of steps.
    #[serde(with = "crate::float")]
    pub layer_ms_per_step: f64,
    /// Milliseconds for the exact 10 most probable classes of one batch of `top_k_rows` rows, median.
    #[serde(with = "crate::float")]
    pub top_k_ms: f64,
    /// Rows of the batch that `top_k_ms` was measured on.
    pub top_k_rows: u64,
    /// Trainable parameters of the whole model.
    pub parameters: u64,
    /// Trainable parameters of the output layer (a tied weight counts here and in the embedding once).
    pub layer_parameters: u64,
    /// Peak resident memory of the run's process, in bytes.
    pub peak_memory_bytes: u64,
}

/// Exact negative log-likelihood of a token set, split by the frequency rank of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandedNll {
    /// Sum over all tokens, in nats.
    #[serde(with = "crate::float")]
    pub nats: f64,
    /// Tokens scored.
    pub tokens: u64,
    /// The same by rank bands, which do not overlap and cover all classes.
    pub bands: Vec<Band>,
}

/// Targets whose id (frequency rank) lies in `from..to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// First id of the band.
    pub from: u64,
    /// First id after the band.
    pub to: u64,
    /// Sum of the exact negative log-likelihood, in nats.
    #[serde(with = "crate::float")]
    pub nats: f64,
    /// Tokens in the band.
    pub tokens: u64,
}

impl BandedNll {
    /// Mean negative log-likelihood in nats per token; NaN when nothing was scored.
    pub fn nll(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    /// Perplexity `exp(nll)`.
    pub fn perplexity(&self) -> f64 {
        self.nll().exp()
    }
}

impl RunResult {
    /// Mean test negative log-likelihood above the truth in nats per token, where the truth is known.
    pub fn excess_nats(&self) -> Option<f64> {
        self.true_test_nll.map(|truth| self.test.nll() - truth)
    }
}
