//! Errors of the kernels: each names the operation, the value given and the values expected.

/// Input that a kernel refuses. Outputs are untouched when one of these is returned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// A slice whose length does not fit the others.
    #[error("{op}: {what} has {given} numbers, expected {expected}")]
    Length {
        /// The operation.
        op: &'static str,
        /// The slice.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length that fits, and why.
        expected: String,
    },
    /// A target that names no class.
    #[error("{op}: target {given} in row {row}, expected 0 <= target < {vocab_size}{or_ignored}")]
    Target {
        /// The operation.
        op: &'static str,
        /// Its row.
        row: usize,
        /// The target.
        given: i64,
        /// Number of classes.
        vocab_size: usize,
        /// The ignored index, where there is one.
        or_ignored: String,
    },
    /// An option out of its range.
    #[error("{op}: {name} = {given}, expected {expected}")]
    Argument {
        /// The operation.
        op: &'static str,
        /// The option.
        name: &'static str,
        /// Its value.
        given: String,
        /// Its range.
        expected: String,
    },
    /// A row whose logits are not numbers, or all minus infinity.
    #[error(
        "{op}: logits of row {row} are not finite, expected at least one finite number and no NaN or infinity"
    )]
    NotFinite {
        /// The operation.
        op: &'static str,
        /// The row.
        row: usize,
    },
}

/// Result of a kernel.
pub type Result<T> = std::result::Result<T, KernelError>;

impl KernelError {
    /// [`KernelError::Argument`] from anything that prints.
    pub(crate) fn argument(
        op: &'static str,
        name: &'static str,
        given: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument { op, name, given: given.to_string(), expected: expected.into() }
    }

    /// An error unless the slice has the expected length.
    pub(crate) fn check_length(
        op: &'static str,
        what: &'static str,
        given: usize,
        expected: usize,
        why: &str,
    ) -> Result<()> {
        if given == expected {
            return Ok(());
        }
        Err(Self::Length { op, what, given, expected: format!("{expected} ({why})") })
    }
}
