//! Errors of the run store.

use std::path::PathBuf;

use crate::RunId;

/// Failures of stored records; every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// Operation that was tried, as in `read`.
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
        /// Place and reason where the JSON did not fit.
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
    /// A folder, a pipe or the like stands where a record is expected.
    #[error("{path}: not a file, expected a run record")]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any record.
    #[error("{path}: {bytes} bytes, expected a run record of at most {most}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Largest size that is read.
        most: u64,
    },
    /// The file bears the name of one run and holds the record of another.
    #[error("{path}: holds the record of run {found}")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Run whose record it is.
        found: RunId,
    },
}

impl RecordError {
    /// Reason why a file is no record, in words that follow its name.
    pub fn reason(&self) -> String {
        match self {
            Self::Io { action, source, .. } => format!("cannot {action} it: {source}"),
            Self::Parse { source, .. } => format!("not a run record: {source}"),
            Self::Version { found, expected, .. } => {
                format!("record layout {found}, this lexmax reads layout {expected}")
            }
            Self::NoFile { .. } => "not a file".into(),
            Self::TooLarge { bytes, most, .. } => {
                format!("{bytes} bytes, expected a run record of at most {most}")
            }
            Self::OtherRun { found, .. } => format!("holds the record of run {found}"),
        }
    }
}
