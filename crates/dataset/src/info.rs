//! `dataset.toml`: options, files, sizes, repeats and hashes of a data set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lexmax_corpus::{CorpusError, SourceFile, Split};
use serde::{Deserialize, Serialize};

use crate::{DatasetError, DatasetOptions, RepeatCounts, Valid};

/// Name of the description inside a data set.
pub(crate) const INFO_FILE: &str = "dataset.toml";
/// Layout of the directory that this crate reads and writes.
pub(crate) const LAYOUT: u32 = 1;

/// The contents of `dataset.toml`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetInfo {
    /// Version of the directory's layout.
    pub layout: u32,
    /// Name of the data set, as results show it.
    pub name: String,
    /// SHA-256 over all files but this one, hexadecimal.
    pub hash: String,
    /// Number of words in the vocabulary.
    pub words: u64,
    /// C: number of classes.
    pub classes: u64,
    /// Sizes of the parts.
    pub parts: Parts<PartInfo>,
    /// Changes to the rows on their way from the files.
    pub changes: Changes,
    /// Repeated texts: of train within itself, of valid and test in train.
    pub repeats: Parts<RepeatCounts>,
    /// Options that it was made with, of the files their names alone.
    pub options: DatasetOptions,
    /// The files, in the order read.
    pub files: Vec<SourceFile>,
    /// SHA-256 of each file of the directory, hexadecimal.
    pub contents: BTreeMap<String, String>,
}

/// One value for each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts<T> {
    /// Training part.
    pub train: T,
    /// Validation part.
    pub valid: T,
    /// Test part.
    pub test: T,
}

impl<T> Parts<T> {
    /// Value of one part.
    pub fn of(&self, split: Split) -> &T {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid,
            Split::Test => &self.test,
        }
    }
}

/// Size of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartInfo {
    /// Examples.
    pub examples: u64,
    /// Words of all examples.
    pub words: u64,
    /// Examples that have a repeat in train; 0 for train itself.
    pub repeated: u64,
}

/// Counts of rows that were left out or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Rows left out for their label.
    pub excluded: u64,
    /// Training rows dropped as repeats.
    pub dropped: u64,
    /// Training rows cut to make the tail.
    pub cut: u64,
    /// Training rows whose label was flipped.
    pub flipped: u64,
    /// Rows of all parts that cleaning left without a word: they became one unknown word.
    pub emptied: u64,
    /// Classes of valid and test without a training row.
    pub cold_classes: u64,
}

impl DatasetInfo {
    /// Reads and checks `dataset.toml` in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<DatasetInfo, DatasetError> {
        let path = dir.join(INFO_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                CorpusError::Missing { path: path.clone(), expected: "dataset.toml of a prepared data set" }
            }
            _ => CorpusError::Io { action: "read", path: path.clone(), source },
        })?;
        DatasetInfo::parse(&text).map_err(|reason| DatasetError::Info { path, reason })
    }

    /// Reads the text of a `dataset.toml`.
    ///
    /// # Errors
    /// The fault: a key that is missing or unknown, another layout.
    pub fn parse(text: &str) -> Result<DatasetInfo, String> {
        let info: DatasetInfo = toml::from_str(text).map_err(|error| error.to_string())?;
        if info.layout != LAYOUT {
            return Err(format!("layout {}; expected layout {LAYOUT}: make the data set again", info.layout));
        }
        Ok(info)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), DatasetError> {
        let path = dir.join(INFO_FILE);
        let text = toml::to_string(self)
            .map_err(|error| DatasetError::Info { path: path.clone(), reason: error.to_string() })?;
        std::fs::write(&path, text).map_err(DatasetError::io("write", &path))
    }
}

/// Options without the folders of their files, so that a data set names no path of a machine.
pub(crate) fn recipe(options: &DatasetOptions) -> DatasetOptions {
    let name = |path: &PathBuf| path.file_name().map_or_else(|| path.clone(), PathBuf::from);
    let names = |paths: &[PathBuf]| paths.iter().map(name).collect();
    let valid = match &options.valid {
        Valid::Files(paths) => Valid::Files(names(paths)),
        other => other.clone(),
    };
    let (train, test) = (names(&options.train), names(&options.test));
    DatasetOptions { name: None, train, valid, test, ..options.clone() }
}
