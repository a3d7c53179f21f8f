//! Errors of output layers: the operation, what was given and what was expected.

use lexmax_autograd::AutogradError;
use lexmax_kernels::KernelError;
use tch::TchError;

/// Result with an [`OutputError`].
pub type Result<T> = std::result::Result<T, OutputError>;

/// Error of building or calling an output layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The library of matrix products that the environment names is not there.
    #[error(transparent)]
    Products(#[from] lexmax_products::ProductsError),
    /// A tensor has another shape than the operation takes.
    #[error("{op}: {what} has shape {given:?}, expected {expected}")]
    Shape {
        /// The operation, as in `full.loss`.
        op: &'static str,
        /// The tensor, as in `hidden`.
        what: &'static str,
        /// Its shape.
        given: Vec<i64>,
        /// The shape that fits, in words.
        expected: String,
    },
    /// Hidden states and targets have other leading shapes.
    #[error(
        "{layer}.{op}: targets has shape {given:?}, expected {expected:?}, \
             the leading shape of hidden {hidden:?}"
    )]
    Leading {
        /// The layer.
        layer: &'static str,
        /// The operation.
        op: &'static str,
        /// Shape of the targets.
        given: Vec<i64>,
        /// Leading shape of the hidden states.
        expected: Vec<i64>,
        /// Shape of the hidden states.
        hidden: Vec<i64>,
    },
    /// A tensor has another dtype than the operation takes.
    #[error("{op}: {what} has kind {given:?}, expected {expected}")]
    Kind {
        /// The operation.
        op: &'static str,
        /// The tensor.
        what: &'static str,
        /// Dtype of the tensor.
        given: tch::Kind,
        /// Description of the dtypes that fit.
        expected: String,
    },
    /// A tensor lies on another device than the layer.
    #[error("{op}: {what} lies on {given:?}, expected {expected:?}, where the layer's parameters are")]
    Device {
        /// The operation.
        op: &'static str,
        /// The tensor.
        what: &'static str,
        /// Its device.
        given: tch::Device,
        /// The layer's device.
        expected: tch::Device,
    },
    /// A target names no class.
    #[error("{op}: target {given} at row {row} names no class, expected 0..{vocab_size}{or_ignored}")]
    Target {
        /// The operation.
        op: &'static str,
        /// The first row with such a target.
        row: i64,
        /// The target there.
        given: i64,
        /// Number of classes.
        vocab_size: i64,
        /// Text ` or the ignored <index>`, where one is set.
        or_ignored: String,
    },
    /// NaN or infinity where a finite number must be.
    #[error("{op}: {what} holds a value that is not finite in row {row}, expected finite numbers only")]
    NotFinite {
        /// The operation.
        op: &'static str,
        /// The tensor.
        what: &'static str,
        /// First row with such a value.
        row: i64,
    },
    /// An argument out of its range.
    #[error("{op}: {name} is {given}, expected {expected}")]
    Argument {
        /// The operation or layer.
        op: &'static str,
        /// The argument.
        name: &'static str,
        /// Its value.
        given: String,
        /// The values that fit.
        expected: String,
    },
    /// An option that makes no sense for this layer.
    #[error("{layer}: the option `{option}` is refused: {why}")]
    Refused {
        /// The layer.
        layer: &'static str,
        /// The option by its name in a configuration.
        option: &'static str,
        /// Why the layer cannot honour it.
        why: String,
    },
    /// A kernel of the fused path refused its input.
    #[error("fused path: {0}")]
    Kernel(#[from] KernelError),
    /// A node of the fused path could not be put into libtorch's graph.
    #[error("fused path: {0}")]
    Autograd(#[from] AutogradError),
    /// A tensor that the fused path cannot read.
    #[error("fused path: {0}")]
    NotASlice(#[from] lexmax_autograd::cpu::NotASlice),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl OutputError {
    /// An argument out of its range.
    pub fn argument(
        op: &'static str,
        name: &'static str,
        given: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument { op, name, given: given.to_string(), expected: expected.into() }
    }

    /// An option that makes no sense for this layer.
    pub fn refused(layer: &'static str, option: &'static str, why: impl Into<String>) -> Self {
        Self::Refused { layer, option, why: why.into() }
    }
}
