//! Errors of the run store.

use std::path::PathBuf;

/// What can go wrong with stored records; every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as in `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no record.
    #[error("{path}: not a run record: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why the JSON did not fit.
        source: serde_json::Error,
    },
    /// The file was written by another version of the layout.
    #[error("{path}: record layout {found}, this lexmax reads layout {expected}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Layout in the file.
        found: u64,
        /// Layout that this build reads.
        expected: u32,
    },
}
