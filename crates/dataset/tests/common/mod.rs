//! Shared by the integration tests: a folder with files in it, and the shared data.
#![allow(clippy::unwrap_used, dead_code)]

use std::path::PathBuf;

use lexmax_dataset::{Dataset, DatasetError, DatasetOptions, Split, Valid, build};

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

    /// Builds into `data`, which must not exist.
    pub fn build(&self, options: &DatasetOptions) -> Result<Dataset, DatasetError> {
        build(options, &self.path("data"))
    }

    /// Builds training rows alone into a new place.
    pub fn train(
        &self,
        rows: &str,
        change: impl FnOnce(&mut DatasetOptions),
    ) -> Result<Dataset, DatasetError> {
        let mut options = DatasetOptions::new(vec![self.file("train.tsv", rows)], Valid::None, vec![]);
        change(&mut options);
        let places = (0..).map(|at| self.path(&format!("data-{at}")));
        build(&options, &places.into_iter().find(|place| !place.exists()).unwrap())
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

/// Examples of a part as label and words, in a stable order.
pub fn examples(dataset: &Dataset, split: Split) -> Vec<(String, String)> {
    let row = |(words, class): (&[u32], u32)| {
        let words: Vec<&str> = words.iter().map(|&word| dataset.words().word(word)).collect();
        (dataset.classes().word(class).to_owned(), words.join(" "))
    };
    let mut rows: Vec<_> = dataset.examples(split).iter().map(row).collect();
    rows.sort();
    rows
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
