//! Shared by the integration tests: a folder with text files in it, and the shared data.
#![allow(clippy::unwrap_used, dead_code)]

pub mod foreign;

use std::path::{Path, PathBuf};

use lexmax_corpus::{BuildOptions, Corpus, CorpusError, TextInput, build};

/// A temporary folder with helpers.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Builds into `corpus`, which must not exist.
    pub fn build(&self, options: &BuildOptions) -> Result<Corpus, CorpusError> {
        build(options, &self.path("corpus"))
    }

    /// Names in the folder, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Options for given splits of one file each.
pub fn splits(train: &Path, valid: Option<&Path>, test: Option<&Path>) -> BuildOptions {
    let list = |path: Option<&Path>| path.map(Path::to_path_buf).into_iter().collect();
    BuildOptions::new(TextInput::Splits { train: list(Some(train)), valid: list(valid), test: list(test) })
}

/// A folder of the shared data, or none with a line that says so.
pub fn shared(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("LEXMAX_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("data").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there (set LEXMAX_SHARED)", folder.display());
        return None;
    }
    Some(folder)
}
