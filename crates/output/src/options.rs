//! Options of the training loss, with one meaning for every family.

use lexmax_kernels::product::Precision;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{LayerSizes, OutputError, Result};

/// How the losses of the rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// One loss a row, `[N]`; ignored rows are zero.
    None,
    /// The sum of the rows' losses divided by the sum of their class weights (by the number of rows
    /// that count, where there are no weights). A batch with no row that counts has the loss zero.
    #[default]
    Mean,
    /// The sum of the rows' losses.
    Sum,
}

/// Options of the training loss that all families share.
///
/// With targets `y_i`, class weights `w` (all one where none are given), smoothing `e` and `V`
/// classes, row `i` costs
///
/// `l_i = -(1 - e) w[y_i] log p(y_i) - e/V sum_c w[c] log p(c)`
///
/// so the smoothing spreads over all `V` classes, whatever clusters or trees a layer has. This is
/// what PyTorch's `cross_entropy` computes. A layer that cannot honour an option refuses it by name
/// when it is built.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossOptions {
    /// Rows with this target count for nothing: no loss, no gradient, not in the mean. May lie
    /// outside `0..V`. An experiment does not score them either, and its records say how many
    /// were left out.
    pub ignore_index: Option<i64>,
    /// How rows become one number.
    pub reduction: Reduction,
    /// Share `e` of the target's probability that is spread evenly over all `V` classes, in `0..1`.
    pub label_smoothing: f64,
    /// One weight per class, `[V]`, not negative.
    pub class_weights: Option<Vec<f64>>,
}

impl LossOptions {
    /// Checks every number for a layer of `vocab_size` classes.
    ///
    /// # Errors
    /// A smoothing outside `0..1`; class weights that are not `V` numbers from zero up that f32
    /// holds.
    pub fn validate(&self, layer: &'static str, vocab_size: i64) -> Result<()> {
        let smoothing = self.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            let expected = "0 <= label_smoothing < 1";
            return Err(OutputError::argument(layer, "label_smoothing", smoothing, expected));
        }
        let Some(weights) = &self.class_weights else { return Ok(()) };
        if weights.len() as i64 != vocab_size {
            let given = format!("{} numbers", weights.len());
            let expected = format!("one weight for each of {vocab_size} classes");
            return Err(OutputError::argument(layer, "class_weights", given, expected));
        }
        let bad = weights.iter().position(|weight| !(*weight as f32).is_finite() || *weight < 0.0);
        if let Some(class) = bad {
            let given = format!("{:e} for class {class}", weights[class]);
            return Err(OutputError::argument(layer, "class_weights", given, "finite weights from zero up"));
        }
        Ok(())
    }

    /// Refuses label smoothing for a layer that never sees all classes in training.
    ///
    /// # Errors
    /// Smoothing is asked for.
    pub fn refuse_smoothing(&self, layer: &'static str, why: &str) -> Result<()> {
        if self.label_smoothing > 0.0 {
            return Err(OutputError::refused(layer, "label_smoothing", why));
        }
        Ok(())
    }
}

/// [`LossOptions`] checked against a layer's sizes and ready on its device.
#[derive(Debug)]
pub struct Loss {
    pub(crate) options: LossOptions,
    pub(crate) class_weights: Option<Tensor>,
    pub(crate) vocab_size: i64,
    pub(crate) hidden_size: i64,
    pub(crate) kind: Kind,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
}

impl Loss {
    /// Checks the options for a layer of `vocab_size` classes over hidden states of width
    /// `hidden_size`.
    ///
    /// # Errors
    /// As [`LayerSizes::check`].
    pub fn new(
        layer: &'static str,
        options: LossOptions,
        vocab_size: i64,
        hidden_size: i64,
        device: Device,
        kind: Kind,
    ) -> Result<Self> {
        LayerSizes::new(vocab_size, hidden_size).check(layer, &options)?;
        let class_weights = match &options.class_weights {
            None => None,
            Some(weights) => Some(Tensor::f_from_slice(weights)?.f_to_kind(kind)?.f_to(device)?),
        };
        let precision = Precision::Full;
        Ok(Self { options, class_weights, vocab_size, hidden_size, kind, device, precision })
    }

    /// The loss with products of another precision on the fused path.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Number of classes, `V`.
    pub fn vocab_size(&self) -> i64 {
        self.vocab_size
    }

    /// Width of the hidden states, `D`.
    pub fn hidden_size(&self) -> i64 {
        self.hidden_size
    }

    /// The options as given.
    pub fn options(&self) -> &LossOptions {
        &self.options
    }

    /// Whether a row's loss needs the log-probabilities of all classes, not of the target alone.
    pub fn needs_all_classes(&self) -> bool {
        self.options.label_smoothing > 0.0
    }
}
