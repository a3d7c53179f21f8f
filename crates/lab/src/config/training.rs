//! The `[training]` section.

use lexmax_kernels::product::Precision;
use lexmax_optim::{OptimizerConfig, PlateauConfig};
use lexmax_output::fused::Compute;
use lexmax_output::{INIT_RANGE, check_init_range};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// Training and evaluation of a model. An output may override any of these under its key
/// `training`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Streams that are read side by side, `B`.
    pub batch: usize,
    /// Steps of back-propagation through time, `T`: a batch has `T B` tokens.
    pub bptt: usize,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Largest joint L2 norm of all gradients; longer ones are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Learning-rate decay when the validation score no longer improves, looked at on every curve
    /// point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plateau: Option<PlateauConfig>,
    /// Embedding and output weights start as uniform(-r, r).
    #[serde(default = "init_range")]
    pub init_range: f64,
    /// Budget of the training.
    pub budget: Budget,
    /// Points of the learning curve, evenly spaced over the budget; the last one is at its end.
    /// Ten, where neither this nor `eval_every_seconds` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_points: Option<u64>,
    /// Seconds of training between curve points, instead of `eval_points`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_every_seconds: Option<f64>,
    /// Validation tokens that a curve point scores, from the start of the split; all where not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_tokens: Option<usize>,
    /// Validation tokens of the final score, at most; the whole split where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_valid_tokens: Option<usize>,
    /// Test tokens that the final score is cut from, from the start of the split; the whole split
    /// where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_test_tokens: Option<usize>,
    /// Streams that evaluation cuts a split into. The first token of each stream is not scored, nor
    /// are the fewer than so many tokens that do not fill a row of streams: with another number
    /// other tokens are scored. Nor is a token of the class that the loss ignores
    /// (`loss.ignore_index`). The record says how many were scored and how many ignored.
    #[serde(default = "eval_batch")]
    pub eval_batch: usize,
    /// Steps between refreshes of layers that adapt to their parameters.
    #[serde(default = "refresh_steps")]
    pub refresh_steps: u64,
    /// Element type: `f32`, `f64`, or `bf16` for mixed precision.
    #[serde(default)]
    pub dtype: Dtype,
    /// Way that the output layer computes in: `fastest` takes fused kernels on a CPU and chunks of
    /// rows elsewhere, `chunked` chunks of rows everywhere (full, sigsoftmax, mos, adaptive), and
    /// `reference` plain ATen operations over all rows. A layer that lacks the way asked for takes
    /// `reference`; the record says which one it was.
    #[serde(default)]
    pub compute: Compute,
    /// Whether weights of which a step reads a few rows get gradients of these rows only: the input
    /// embedding, and what layers on their fused path read so. Where it is not given: on a CPU,
    /// where the optimizer then has to look at no other row (SGD without momentum and weight decay,
    /// Adagrad without weight decay, anything with `lazy = true`). The optimizer does the same with
    /// either kind of gradient, to rounding, unless it is lazy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_gradients: Option<bool>,
    /// Memory in MiB of the output layer's sweeps over classes. Where it is not given: of fused
    /// ones a quarter of the class weight (256 at most), and at least 32 on two threads and 16 more
    /// for each further one, and a quarter more for a mixture of several softmaxes; of chunked ones
    /// 128 on a CPU, and a part of the free memory of another device. With less of it fused sweeps
    /// compute logits twice where the vocabulary is large, and there are more chunks; results
    /// differ by rounding only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_mib: Option<usize>,
    /// Root seeds: every output is trained once with each.
    pub seeds: Vec<u64>,
    /// Threads of libtorch. Where not given, every core that the process may use; then their number
    /// is no part of the run's identity, so that a finished run counts as finished, and a stopped
    /// one goes on, wherever there are more or fewer cores. The record says how many there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Budget of the training: it ends at the first step that reaches the number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Seconds of training: the layer's set-up counts, evaluation does not.
    Seconds(f64),
    /// Training tokens.
    Tokens(u64),
    /// Passes over the training split.
    Epochs(u64),
}

/// Element type of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floats.
    #[default]
    F32,
    /// 64-bit floats.
    F64,
    /// Mixed precision: parameters, optimizer state and losses in 32-bit floats, and the products
    /// of the output layer's training loss over operands rounded to bf16 (full, sigsoftmax, mos,
    /// adaptive, and sampled with negatives that all rows share). Evaluation rounds nothing.
    Bf16,
}

impl Dtype {
    /// Dtype of the parameters.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 | Self::Bf16 => Kind::Float,
            Self::F64 => Kind::Double,
        }
    }

    /// Precision of the products of the training loss.
    pub fn precision(self) -> Precision {
        match self {
            Self::F32 | Self::F64 => Precision::Full,
            Self::Bf16 => Precision::Bf16,
        }
    }

    /// `f32`, `f64` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bf16 => "bf16",
        }
    }
}

fn init_range() -> f64 {
    0.1
}

fn eval_batch() -> usize {
    10
}

fn refresh_steps() -> u64 {
    500
}

impl TrainingConfig {
    /// Whether gradients are row-sparse where they can be, on a device.
    pub fn uses_sparse_gradients(&self, device: Device) -> bool {
        self.sparse_gradients.unwrap_or_else(|| device == Device::Cpu && self.optimizer.leaves_rows())
    }

    /// The memory limit of sweeps over classes in bytes, where one is given.
    pub fn workspace_bytes(&self) -> Option<usize> {
        self.workspace_mib.map(|mebibytes| mebibytes.saturating_mul(1 << 20))
    }

    /// Checks every number; the error says which key, what was given and what was expected.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let positive = |name: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(format!("`{name}` is {}, expected a finite number above zero", number(value))),
        };
        let at_least_one = |name: &str, value: u64| match value {
            0 => Err(format!("`{name}` is 0, expected at least 1")),
            _ => Ok(()),
        };
        at_least_one("batch", self.batch as u64)?;
        at_least_one("bptt", self.bptt as u64)?;
        at_least_one("eval_batch", self.eval_batch as u64)?;
        if self.refresh_steps != refresh_steps() {
            return Err(format!(
                "`refresh_steps` is {}, expected it left out: no layer has anything to refresh",
                self.refresh_steps
            ));
        }
        self.workspace_mib.map_or(Ok(()), |mebibytes| at_least_one("workspace_mib", mebibytes as u64))?;
        positive("learning_rate", self.learning_rate)?;
        positive("init_range", self.init_range)?;
        check_init_range(self.init_range)
            .map_err(|_| format!("`init_range` is {}, expected {INIT_RANGE}", number(self.init_range)))?;
        if self.dtype.kind() == Kind::Float && !holds_f32(self.learning_rate) {
            let given = number(self.learning_rate);
            return Err(format!("`learning_rate` is {given}, expected a number within the range of f32"));
        }
        self.clip.map_or(Ok(()), |clip| positive("clip", clip))?;
        self.eval_every_seconds.map_or(Ok(()), |seconds| positive("eval_every_seconds", seconds))?;
        self.eval_points.map_or(Ok(()), |points| at_least_one("eval_points", points))?;
        if self.eval_points.is_some() && self.eval_every_seconds.is_some() {
            return Err(
                "`eval_points` and `eval_every_seconds` are both given, expected one of them".to_owned()
            );
        }
        let limits = [
            ("valid_tokens", self.valid_tokens),
            ("max_valid_tokens", self.max_valid_tokens),
            ("max_test_tokens", self.max_test_tokens),
        ];
        for (name, tokens) in limits {
            if let Some(tokens @ 0..=1) = tokens {
                return Err(format!("`{name}` is {tokens}, expected at least 2"));
            }
        }
        self.optimizer.validate().map_err(|error| error.to_string())?;
        if self.dtype.kind() == Kind::Float {
            check_f32("optimizer", &toml::Value::try_from(&self.optimizer).map_err(|e| e.to_string())?)?;
        }
        self.plateau.map_or(Ok(()), |plateau| plateau.validate().map_err(|error| error.to_string()))?;
        match self.threads {
            None | Some(1..=MOST_THREADS) => {}
            Some(0) => return Err("`threads` is 0, expected at least 1".to_owned()),
            Some(threads) => return Err(format!("`threads` is {threads}, expected at most {MOST_THREADS}")),
        }
        match self.budget {
            Budget::Seconds(seconds) => positive("budget.seconds", seconds)?,
            Budget::Tokens(tokens) => at_least_one("budget.tokens", tokens)?,
            Budget::Epochs(epochs) => at_least_one("budget.epochs", epochs)?,
        }
        if self.seeds.is_empty() {
            return Err("`seeds` is empty, expected at least one seed".to_owned());
        }
        if let Some(seed) = (1..self.seeds.len()).find(|&i| self.seeds[..i].contains(&self.seeds[i])) {
            return Err(format!("`seeds` names {} twice, expected different seeds", self.seeds[seed]));
        }
        Ok(())
    }
}

/// More threads than any machine runs well are a slip of the pen, and libtorch would end the
/// process.
const MOST_THREADS: usize = 1024;

/// Whether f32 holds a number that is not zero as a finite number that is not zero.
fn holds_f32(value: f64) -> bool {
    let single = value as f32;
    single.is_finite() && single != 0.0
}

/// Checks that f32 holds all numbers below a key as finite ones.
fn check_f32(key: &str, value: &toml::Value) -> Result<(), String> {
    match value {
        toml::Value::Float(given) if !(*given as f32).is_finite() => {
            Err(format!("`{key}` is {}, expected a number within the range of f32", number(*given)))
        }
        toml::Value::Table(table) => {
            table.iter().try_for_each(|(inner, value)| check_f32(&format!("{key}.{inner}"), value))
        }
        _ => Ok(()),
    }
}

/// A number for a message: very large and very small ones with an exponent.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size.is_finite() && size != 0.0 && !(1e-5..1e15).contains(&size) => format!("{value:e}"),
        _ => value.to_string(),
    }
}
