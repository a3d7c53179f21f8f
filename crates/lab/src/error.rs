//! Errors of the laboratory.

use std::path::PathBuf;

use lexmax_corpus::CorpusError;
use lexmax_optim::OptimError;
use lexmax_output::OutputError;
use lexmax_records::RecordError;

/// Result with a [`LabError`].
pub type Result<T> = std::result::Result<T, LabError>;

/// Failures between an experiment file and its records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The experiment file, or a value set over it, does not fit.
    #[error("{file}: {place}: {message}")]
    Config {
        /// The experiment file.
        file: PathBuf,
        /// The section or output, as in `[training]`.
        place: String,
        /// Mistake with the value given and the one expected.
        message: String,
    },
    /// A corpus could not be built or opened.
    #[error("corpus: {0}")]
    Corpus(#[from] CorpusError),
    /// The corpus does not fit the experiment.
    #[error("corpus {name}: {message}")]
    CorpusUse {
        /// Name of the corpus.
        name: String,
        /// Reason, in words.
        message: String,
    },
    /// An output layer refused.
    #[error("output layer: {0}")]
    Output(#[from] OutputError),
    /// The library of matrix products that the environment names is not there.
    #[error(transparent)]
    Products(#[from] lexmax_products::ProductsError),
    /// An optimizer refused.
    #[error("optimizer: {0}")]
    Optim(#[from] OptimError),
    /// A differentiable function of our own failed.
    #[error("{0}")]
    Autograd(#[from] lexmax_autograd::AutogradError),
    /// A tensor that cannot be read or written as a slice.
    #[error("{0}")]
    NotASlice(#[from] lexmax_autograd::cpu::NotASlice),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A record could not be read or written.
    #[error("records: {0}")]
    Record(#[from] RecordError),
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
    /// A checkpoint that does not belong to the run, or is damaged.
    #[error("checkpoint {path}: {message}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Reason, in words.
        message: String,
    },
    /// Training left the finite numbers.
    #[error("diverged at step {step}: {what} is {value}")]
    Diverged {
        /// The training step, from 1.
        step: u64,
        /// The quantity, as in `the training loss`.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A budget of seconds that the set-up used up.
    #[error(
        "the budget was used up before the first step: the output layer's set-up took {setup_seconds:.3} s of it"
    )]
    NothingTrained {
        /// Seconds of the set-up.
        setup_seconds: f64,
    },
    /// A training step failed.
    #[error("training step {step}: {source}")]
    Step {
        /// The training step, from 1.
        step: u64,
        /// Why.
        source: Box<LabError>,
    },
    /// Another experiment file of the same name has its records in the results folder.
    #[error(
        "{results} holds the records of {other}, expected none of another file named {name}: {given} needs another name, \
         or a folder of its own (--results)"
    )]
    SharedResults {
        /// The results folder.
        results: PathBuf,
        /// The file that the records are of.
        other: PathBuf,
        /// The file that was to be run.
        given: PathBuf,
        /// The name of both.
        name: String,
    },
    /// A device that is not there.
    #[error("device {given:?}: {expected}")]
    Device {
        /// Device that was asked for.
        given: String,
        /// Devices that there are.
        expected: String,
    },
    /// A message between the runner and a run's process could not be understood.
    #[error("{what}: {message}")]
    Protocol {
        /// The message, as in `job`.
        what: &'static str,
        /// Why.
        message: String,
    },
}

impl LabError {
    /// Converter for `map_err`: an I/O error with the operation and the path.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The training step at which it happened, where known.
    pub fn step(&self) -> Option<u64> {
        match self {
            Self::Diverged { step, .. } | Self::Step { step, .. } => Some(*step),
            _ => None,
        }
    }
}
