//! Errors of optimizers: the setting, parameter or state by name, what was given and what was
//! expected.

use tch::{Kind, TchError};

/// Result with an [`OptimError`].
pub type Result<T> = std::result::Result<T, OptimError>;

/// Error of building, stepping or restoring an optimizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A number of a configuration, or the learning rate of a step, is out of its range.
    #[error("{name} is {given}, expected {expected}")]
    Setting {
        /// The setting, as in `sgd.momentum`.
        name: &'static str,
        /// Its value.
        given: String,
        /// The range that fits.
        expected: &'static str,
    },
    /// Two parameters bear one name, so their states could not be told apart.
    #[error("parameter {name} is given twice, expected different names")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Two names stand for one tensor, which every step would update twice.
    #[error("parameters {first} and {second} are the same tensor, expected it once")]
    SameTensor {
        /// The name given first.
        first: String,
        /// The name given later.
        second: String,
    },
    /// A parameter is the result of an operation: it would never have a gradient of its own.
    #[error("parameter {name} is computed from other tensors, expected a leaf")]
    NotLeaf {
        /// Its name.
        name: String,
    },
    /// A parameter is undefined, sparse, or in a layout without strides: its elements cannot be
    /// moved in place.
    #[error("parameter {name} is undefined or not in a strided layout, expected a dense tensor")]
    NotDense {
        /// Its name.
        name: String,
    },
    /// A parameter or an entry of a state has another dtype than it must have.
    #[error("{name} has kind {given:?}, expected {expected}")]
    Kind {
        /// The parameter or the entry.
        name: String,
        /// Dtype given.
        given: Kind,
        /// Description of the dtypes that fit.
        expected: String,
    },
    /// The gradient of a parameter is sparse, but not by rows.
    #[error("the gradient of {name} has {given} sparse dimensions, expected 1, the first")]
    SparseGradient {
        /// The parameter.
        name: String,
        /// Its number of sparse dimensions.
        given: i64,
    },
    /// A saved state lacks an entry.
    #[error("the state has no entry {name}, expected one of shape {expected:?}")]
    MissingState {
        /// The entry, as in `weight/momentum`.
        name: String,
        /// The shape it must have.
        expected: Vec<i64>,
    },
    /// A saved state has an entry that this optimizer does not know: it was saved by another
    /// configuration.
    #[error("the state has an entry {name} that this optimizer does not keep, expected {expected}")]
    UnexpectedState {
        /// The entry.
        name: String,
        /// The entries that this optimizer keeps, in words.
        expected: String,
    },
    /// An entry of a saved state has another shape.
    #[error("the state's entry {name} has shape {given:?}, expected {expected:?}")]
    StateShape {
        /// The entry.
        name: String,
        /// Its shape.
        given: Vec<i64>,
        /// The shape it must have.
        expected: Vec<i64>,
    },
    /// An operation of libtorch failed.
    #[error("libtorch: {0}")]
    Tch(#[from] TchError),
    /// A row kernel refused its input.
    #[error(transparent)]
    Kernel(#[from] lexmax_kernels::KernelError),
    /// A tensor could not be seen as a slice.
    #[error(transparent)]
    NotASlice(#[from] lexmax_autograd::cpu::NotASlice),
    /// A gradient or a change in place that the border to libtorch refused.
    #[error(transparent)]
    Autograd(#[from] lexmax_autograd::AutogradError),
}

/// Fails by name where `fits` is false.
pub(crate) fn check(name: &'static str, given: f64, fits: bool, expected: &'static str) -> Result<()> {
    if fits { Ok(()) } else { Err(OptimError::Setting { name, given: given.to_string(), expected }) }
}
