//! Errors of applying a custom function.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Error of a custom function: `?` converts `tch::TchError`, a `String` or any error of yours to
/// it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Result of the methods of a [`Function`](crate::Function).
pub type Result<T> = std::result::Result<T, BoxError>;

/// Error of [`apply`](crate::apply). Errors of a backward pass have the same texts, and come out of
/// tch's `f_backward` as `tch::TchError::Torch`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutogradError {
    /// The function's `forward` returned an error.
    #[error("{function}: forward failed: {source}")]
    Forward {
        /// Name of the function.
        function: &'static str,
        /// Error that `forward` returned.
        source: BoxError,
    },
    /// The function's `forward` panicked.
    #[error("{function}: forward panicked: {message}")]
    Panicked {
        /// Name of the function.
        function: &'static str,
        /// Message of the panic.
        message: String,
    },
    /// An input, a gradient or a saved tensor was asked for that is not there.
    #[error("{what} {index} is {state}, expected a tensor ({count} {what}s are there)")]
    Missing {
        /// Role of the tensor: `input`, `grad_output` or `saved tensor`.
        what: &'static str,
        /// Index of the tensor.
        index: usize,
        /// State of the tensor: `undefined` or `out of range`.
        state: &'static str,
        /// Number of these tensors in the call.
        count: usize,
    },
    /// `forward` returned an undefined tensor.
    #[error("{function}: output {output} of forward is undefined, expected tensors only")]
    UndefinedOutput {
        /// Name of the function.
        function: &'static str,
        /// Index of the output.
        output: usize,
    },
    /// `forward` declared an output non-differentiable that it did not return.
    #[error(
        "{function}: output {output} is declared non-differentiable, but forward returned {count} outputs"
    )]
    NoSuchOutput {
        /// Name of the function.
        function: &'static str,
        /// Index of the output.
        output: usize,
        /// Number of outputs.
        count: usize,
    },
    /// `backward` returned too many or too few gradients.
    #[error("backward returned {given} gradients, expected one for each of the {expected} inputs")]
    GradientCount {
        /// Number of gradients returned.
        given: usize,
        /// Number of inputs that the function was applied to.
        expected: usize,
    },
    /// An argument of an operation does not fit the others.
    #[error("{operation}: {name} {given}, expected {expected}")]
    Argument {
        /// The operation.
        operation: &'static str,
        /// The argument.
        name: &'static str,
        /// Description of the value given.
        given: String,
        /// Description of the values that fit.
        expected: String,
    },
    /// libtorch refused.
    #[error("{operation}: {message}")]
    Torch {
        /// Operation that failed.
        operation: String,
        /// Message of libtorch.
        message: String,
    },
}

impl AutogradError {
    /// Takes one tensor of a list, or says why it cannot be had.
    pub(crate) fn pick<'a, T>(
        list: &'a [Option<T>],
        index: usize,
        what: &'static str,
    ) -> std::result::Result<&'a T, Self> {
        let missing = |state| Self::Missing { what, index, state, count: list.len() };
        list.get(index).ok_or_else(|| missing("out of range"))?.as_ref().ok_or_else(|| missing("undefined"))
    }
}

/// An error with all its causes in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Runs what may panic; the error is the message of the panic.
///
/// The payload is dropped in here: it is a value of the user's, and a panic of its own drop must
/// get no further either.
pub(crate) fn contained<R>(work: impl FnOnce() -> R) -> std::result::Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = panic_message(&*payload);
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // Dropping this one could go on without an end.
            std::mem::forget(again);
        }
        message
    })
}

/// The message of a panic, where it has one.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is no text").to_owned()
}
