//! The laboratory: experiment files, backbones, trainer, exact evaluator and the runner of whole
//! experiments.
//!
//! * [`Experiment`]: an experiment file, read and checked; [`Plan`]: its runs, one for each output
//!   and seed, with ids.
//! * [`backbone`]: the models below the output layer, an LSTM and a feed-forward n-gram model.
//! * [`train`]: one run's training, with checkpoints; [`evaluate`]: exact scores in chunks;
//!   [`measure`]: timings.
//! * [`run_worker`]: one run from start to record, in a process of its own; [`run_plan`]: all runs
//!   of a plan.
//!
//! ```
//! use lexmax_lab::{Experiment, Overrides};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("tiny.toml");
//! std::fs::write(
//!     &file,
//!     r#"
//!     corpus.synthetic = { vocab_size = 100, classes = 4, train_tokens = 5000 }
//!     backbone = { kind = "ngram", context = 2, embedding = 8, hidden = 16 }
//!
//!     [training]
//!     batch = 4
//!     bptt = 8
//!     learning_rate = 0.01
//!     optimizer = { kind = "adam" }
//!     budget = { tokens = 2000 }
//!     seeds = [1, 2]
//!
//!     [[outputs]]
//!     name = "full"
//!     layer = "full"
//!     grid = { temperature = [1.0, 2.0] }
//!     "#,
//! )?;
//! let experiment = Experiment::load(&file, &Overrides::default())?;
//! let names: Vec<&str> = experiment.outputs.iter().map(|output| output.name.as_str()).collect();
//! assert_eq!(names, ["full temperature=1.0", "full temperature=2.0"]);
//! # Ok(())
//! # }
//! ```

pub mod allocator;
pub mod backbone;
pub mod batch;
mod check;
pub mod checkpoint;
pub mod config;
mod corpus_display;
mod error;
pub mod evaluate;
mod interrupts;
pub mod machine;
pub mod measure;
mod plan;
mod prepare;
mod runner;
pub mod train;
mod worker;

pub use config::{Experiment, Overrides};
pub use corpus_display::CorpusDisplay;
pub use error::{LabError, Result};
pub use interrupts::{catch_interrupts, interrupted_status, status_of};
pub use lexmax::{LAYERS, LayerEntry};
pub use plan::{Plan, RunConfig, RunSpec};
pub use prepare::{corpus_folder, prepare_corpus};
pub use runner::{Outcome, RunOptions, check_results, run_plan};
pub use worker::{Event, Job, RunEnd, run_worker};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
