//! Errors of the choice.

/// Error of a choice of products.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProductsError {
    /// A name that is none of a library.
    #[error("{place} is `{given}`, expected {expected}")]
    Unknown {
        /// Place of the name.
        place: String,
        /// The name.
        given: String,
        /// Names that there are.
        expected: String,
    },
    /// A library that is not in this process.
    #[error("{place} is `{given}`, but no BLAS is loaded here; expected {expected}")]
    Absent {
        /// Place of the name.
        place: String,
        /// The name.
        given: String,
        /// Names that there are.
        expected: String,
    },
}

/// Result of a choice.
pub type Result<T> = std::result::Result<T, ProductsError>;
