//! Errors of the report.

use std::path::PathBuf;

use lexmax_records::RecordError;

/// Failures that keep a report from being written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A record could not be read.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// There is nothing to report on.
    #[error(
        "{folder}: no run records (expected files *.json there; `lexmax run` writes them){}",
        left_out.iter().map(|sentence| format!("\n{sentence}")).collect::<String>()
    )]
    NoRecords {
        /// The folder that was looked into.
        folder: PathBuf,
        /// A sentence for each file there that is no usable record.
        left_out: Vec<String>,
    },
    /// The options name a reference output that never ran.
    #[error(
        "reference output {name:?} is not among the outputs of the records{}: {}",
        nearest.as_ref().map_or_else(String::new, |nearest| format!(" (did you mean {nearest:?}?)")),
        known.join(", ")
    )]
    UnknownReference {
        /// The name that was asked for.
        name: String,
        /// The name that it may have been meant for.
        nearest: Option<String>,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A tolerance of the operating points makes no sense.
    #[error("tolerance of the operating points: {given} %, expected a number of at least 0")]
    Tolerance {
        /// The number that was given.
        given: f64,
    },
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// Operation that was tried, as in `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A data table could not be made.
    #[error("table {file}: {source}")]
    Table {
        /// The file that it was for.
        file: String,
        /// The answer of polars.
        source: polars::error::PolarsError,
    },
    /// A chart could not be drawn.
    #[error("chart {file}: {message}")]
    Chart {
        /// The file that it was for.
        file: String,
        /// The answer of plotters.
        message: String,
    },
}
