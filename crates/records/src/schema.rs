//! Records: what one run leaves behind. Every negative log-likelihood here is exact: the
//! natural-log probability of the true token under the normalised distribution over all classes,
//! never a training loss.

use serde::{Deserialize, Serialize};

use crate::{BandedNll, RunId};

/// Version of the record layout. A reader refuses other versions by name instead of guessing.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything about a run that is known before it starts: one output layer, one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Hash of `config`.
    pub id: RunId,
    /// Name of the experiment (the file name without extension).
    pub experiment: String,
    /// The experiment file by its path from the results folder, so that two files of one name are
    /// told apart; `None` where it is not known.
    #[serde(default)]
    pub experiment_file: Option<String>,
    /// Name of the output in the experiment file, unique there; a grid adds its values, as in
    /// `sampled S=256`.
    pub name: String,
    /// Family of the output layer: `full`, `sampled`, `hierarchical`, `adaptive` or `mixture`.
    pub family: String,
    /// Root seed of the run.
    pub seed: u64,
    /// The resolved configuration: everything that decides the result, with defaults filled in.
    pub config: serde_json::Value,
    /// Machine and software that it ran on.
    pub environment: Environment,
    /// Corpus that it was trained on.
    pub corpus: CorpusFacts,
    /// Start of the run, seconds since the Unix epoch.
    pub started_unix: u64,
}

/// One run of an experiment with how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredRecord", into = "StoredRecord")]
pub struct RunRecord {
    /// Facts known before the start.
    pub run: RunHeader,
    /// End of the run, with its figures where it finished.
    pub status: RunStatus,
    /// Points of the learning curve, in order of steps.
    pub curve: Vec<CurvePoint>,
}

/// End of a run.
// One record is in memory for each run, and nearly all of them are finished.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum RunStatus {
    /// The budget was used and the test set scored.
    Finished(RunResult),
    /// The run broke; the others of the experiment went on.
    Failed {
        /// The error as it was shown.
        error: String,
        /// Training step at which it broke, where known.
        step: Option<u64>,
    },
}

impl RunHeader {
    /// Record of this run, now that it has ended.
    pub fn ended(&self, status: RunStatus, curve: Vec<CurvePoint>) -> RunRecord {
        RunRecord { run: self.clone(), status, curve }
    }
}

impl RunRecord {
    /// Final figures of a finished run; `None` of a failed one.
    pub fn result(&self) -> Option<&RunResult> {
        match &self.status {
            RunStatus::Finished(result) => Some(result),
            RunStatus::Failed { .. } => None,
        }
    }

    /// Final figures of a finished run, to be changed; `None` of a failed one.
    pub fn result_mut(&mut self) -> Option<&mut RunResult> {
        match &mut self.status {
            RunStatus::Finished(result) => Some(result),
            RunStatus::Failed { .. } => None,
        }
    }
}

/// Layout of a record's file: the status is a word there and the figures stand at the top level,
/// where readers in any language find them without knowing Rust's enums.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    schema: u32,
    #[serde(flatten)]
    run: RunHeader,
    status: StoredStatus,
    curve: Vec<CurvePoint>,
    result: Option<RunResult>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum StoredStatus {
    Finished,
    Failed { error: String, step: Option<u64> },
}

impl From<RunRecord> for StoredRecord {
    fn from(RunRecord { run, status, curve }: RunRecord) -> Self {
        let (status, result) = match status {
            RunStatus::Finished(result) => (StoredStatus::Finished, Some(result)),
            RunStatus::Failed { error, step } => (StoredStatus::Failed { error, step }, None),
        };
        Self { schema: SCHEMA_VERSION, run, status, curve, result }
    }
}

impl TryFrom<StoredRecord> for RunRecord {
    type Error = String;

    fn try_from(stored: StoredRecord) -> Result<Self, String> {
        let StoredRecord { schema, run, status, curve, result } = stored;
        if schema != SCHEMA_VERSION {
            return Err(format!("schema {schema}, expected {SCHEMA_VERSION}"));
        }
        let status = match (status, result) {
            (StoredStatus::Finished, Some(result)) => RunStatus::Finished(result),
            (StoredStatus::Finished, None) => return Err("state is finished, expected a `result`".into()),
            (StoredStatus::Failed { .. }, Some(_)) => {
                return Err("state is failed, expected no `result`".into());
            }
            (StoredStatus::Failed { error, step }, None) => RunStatus::Failed { error, step },
        };
        Ok(Self { run, status, curve })
    }
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
    /// Memory of the machine, in bytes; `None` where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Operating system and architecture, as in `linux x86_64`.
    pub os: String,
    /// Device of the tensors, `cpu` or `cuda:0`.
    pub device: String,
    /// Element type of the model, as in `f32`.
    pub dtype: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Library of the fused path's matrix products, as in `gemm`; `None` where the run takes none,
    /// and in records of before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<String>,
    /// Version of lexmax.
    pub lexmax: String,
    /// Commit of the sources that lexmax was built from, where they are a git checkout; `-dirty` is
    /// appended when they differ from it.
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
    /// Mean training loss of the targets that count since the last point, in nats, over all its
    /// windows together: ignored targets count for nothing, and where the loss is a mean under
    /// class weights each counts as its weight. A surrogate for layers that train on one; NaN where
    /// no target counted.
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
    /// Streams that the scored splits were cut into, the key `eval_batch`: the first token of each
    /// is not scored.
    pub eval_batch: u64,
    /// Class that the configuration has ignored, where there is one.
    pub ignored_class: Option<i64>,
    /// Test targets that were not scored, because they are of the class that the loss ignores.
    #[serde(default)]
    pub ignored_test_tokens: u64,
    /// Exact negative log-likelihood per token of the validation split (its first
    /// `max_valid_tokens` where the configuration says so), in nats.
    #[serde(with = "crate::float")]
    pub valid_nll: f64,
    /// True negative log-likelihood per token of the test tokens scored, in nats, where the
    /// language is synthetic.
    #[serde(default, with = "crate::float::option")]
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
    /// Milliseconds per training step inside the output layer, loss and gradients, median of a
    /// timed sample of steps.
    #[serde(with = "crate::float")]
    pub layer_ms: f64,
    /// Floating-point operations of one training step inside the output layer, loss and gradients,
    /// in units of 1e9, counted from its sizes; `None` where nobody counted.
    #[serde(default, with = "crate::float::option")]
    pub gflop_per_step: Option<f64>,
    /// Probability mass per row that a gradient filter left out of the gradients of the last
    /// training step, mean over rows; `None` where nothing is filtered.
    #[serde(default, with = "crate::float::option")]
    pub dropped_mass: Option<f64>,
    /// Path of the output layer's training loss; `None` in records that are older than the key.
    #[serde(default)]
    pub compute_path: Option<LossPath>,
    /// Milliseconds for the exact 10 most probable classes of one batch of `top_k_rows` rows,
    /// median.
    #[serde(with = "crate::float")]
    pub top_k_ms: f64,
    /// Rows of the batch that `top_k_ms` was measured on.
    pub top_k_rows: u64,
    /// Trainable parameters of the whole model.
    pub parameters: u64,
    /// Trainable parameters of the output layer (a tied weight counts here and in the embedding
    /// once).
    pub layer_parameters: u64,
    /// Peak memory of the run's process of its own, without the pages of mapped files such as the
    /// corpus, in bytes; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
}

/// Way that an output layer's training loss is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossPath {
    /// Fused kernels.
    Fused,
    /// Operations of libtorch over chunks of rows.
    Chunked,
    /// Operations of libtorch over all rows.
    Reference,
}

impl LossPath {
    /// Name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Chunked => "chunked",
            Self::Reference => "reference",
        }
    }
}

impl RunResult {
    /// Mean test negative log-likelihood above the truth in nats per token, where the truth is
    /// known.
    pub fn excess_nats(&self) -> Option<f64> {
        self.true_test_nll.map(|truth| self.test.nll() - truth)
    }
}
