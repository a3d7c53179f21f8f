//! Errors of the dataset crate: each names the file or option, what was found and what was
//! expected.

use std::path::{Path, PathBuf};

use lexmax_corpus::{CorpusError, Split};

/// Error of building or opening a data set, or of sampling from one.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file that cannot be read or written, or is no text.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A row that is damaged or odd.
    #[error("{path} line {line}: {found}; expected {expected}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1; of a row of several lines the first.
        line: u64,
        /// Fault of the row.
        found: String,
        /// Form that a row has.
        expected: String,
    },
    /// An option has a value that cannot be used.
    #[error("{option}: given {given}; expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        given: String,
        /// Values that are accepted.
        expected: String,
    },
    /// A split without an example, though files or a share were given for it.
    #[error("{split} split is empty: {reason}; expected at least one example")]
    EmptySplit {
        /// The split.
        split: Split,
        /// Origin of the emptiness.
        reason: String,
    },
    /// The output path is taken.
    #[error("{path}: already exists{found}; expected a path where a new data set can be made")]
    Exists {
        /// The path given for the data set.
        path: PathBuf,
        /// Description of what is there; empty where it is no data set.
        found: String,
    },
    /// `dataset.toml` could not be understood.
    #[error("{path}: {reason}")]
    Info {
        /// The file.
        path: PathBuf,
        /// Place and cause, with the unknown key or wrong value.
        reason: String,
    },
    /// A file of a prepared data set is not what was written.
    #[error("{path}: {found}; expected {expected}: damaged?")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Contents that cannot be.
        found: String,
        /// Contents that fit the other files.
        expected: String,
    },
}

impl DatasetError {
    pub(crate) fn option(
        option: &'static str,
        given: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> DatasetError {
        DatasetError::Option { option, given: given.to_string(), expected: expected.into() }
    }

    pub(crate) fn row(
        path: &Path,
        line: u64,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> DatasetError {
        DatasetError::Row { path: path.to_path_buf(), line, found: found.into(), expected: expected.into() }
    }

    pub(crate) fn damaged(
        path: &Path,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> DatasetError {
        DatasetError::Damaged { path: path.to_path_buf(), found: found.into(), expected: expected.into() }
    }

    /// Converter for `map_err`: an I/O error with the operation and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DatasetError {
        let path = path.to_path_buf();
        move |source| DatasetError::Corpus(CorpusError::Io { action, path, source })
    }
}
