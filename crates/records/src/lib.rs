//! The run store: typed, versioned records of experiment runs, written atomically, read without
//! libtorch.
//!
//! One run is one file, `results/<experiment>/runs/<id>.json`, where the id is the hash of the
//! resolved configuration. A file is written under a temporary name and renamed, so a reader never
//! sees half a record.
//!
//! ```
//! use lexmax_records::{RunId, RunStore};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let store = RunStore::open(folder.path());
//! let id = RunId::of_config(&serde_json::json!({"layer": "full", "seed": 1}));
//! assert!(store.read(&id)?.is_none());
//! # Ok(())
//! # }
//! ```

mod error;
mod float;
mod folder;
mod id;
mod nearest;
mod nll;
mod schema;
mod store;

pub use error::RecordError;
pub use folder::{Contents, Skipped, Stored};
pub use id::RunId;
pub use nearest::{expected_names, nearest};
pub use nll::{Band, BandedNll};
pub use schema::{
    CorpusFacts, CurvePoint, Environment, LossPath, RunHeader, RunRecord, RunResult, RunStatus,
    SCHEMA_VERSION,
};
pub use store::{RunStore, write_atomically};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
