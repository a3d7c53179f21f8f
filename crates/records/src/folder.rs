//! A folder of records as people leave it: copies, halves of files and things of other programs lie
//! among the records.
//!
//! None of them may hide the records that are sound, and none may be counted as one: each is named
//! with its reason.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{RecordError, RunRecord, SCHEMA_VERSION};

/// Largest file that is read: a record of ten thousand curve points has 2 MiB.
const MOST_BYTES: u64 = 64 << 20;

/// Records of a folder, with the files that are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Records with their files, each run once, ordered by output name, then seed, then id.
    pub stored: Vec<Stored>,
    /// Files that were left out, by file name.
    pub skipped: Vec<Skipped>,
}

/// A record and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// File that the record was read from.
    pub path: PathBuf,
    /// Record in the file.
    pub record: RunRecord,
}

/// A file among the records that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// File that was left out.
    pub path: PathBuf,
    /// Why, in words that follow its name: `empty`, `a copy of run 0123..`.
    pub reason: String,
}

impl Contents {
    /// The records alone.
    pub fn into_records(self) -> Vec<RunRecord> {
        self.stored.into_iter().map(|stored| stored.record).collect()
    }
}

/// Reads the records of a folder; a missing folder holds none.
///
/// Names that begin with a point are temporary files of a writer, and names without `.json` are no
/// business of ours: both are passed over in silence.
pub(crate) fn read(folder: &Path) -> Result<Contents, RecordError> {
    let io = |source| RecordError::Io { action: "list", path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Contents::default()),
        entries => entries.map_err(io)?,
    };
    let mut paths: Vec<(String, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') && name.to_lowercase().contains(".json") {
            paths.push((name, path));
        }
    }
    paths.sort();
    let mut contents = Contents::default();
    let mut skip = |path: PathBuf, reason: String| contents.skipped.push(Skipped { path, reason });
    let mut stored: Vec<Stored> = Vec::new();
    for (name, path) in paths {
        if !name.ends_with(".json") {
            skip(path, "its name does not end in .json".into());
            continue;
        }
        match read_file(&path) {
            Ok(record) => stored.push(Stored { path, record }),
            Err(error) => skip(path, error.reason()),
        }
    }
    // The file that bears the id of its run comes before copies of it, whichever the folder lists
    // first.
    let is_named =
        |stored: &Stored| stored.path.file_stem().is_some_and(|stem| stem == stored.record.run.id.as_str());
    stored.sort_by_key(|stored| !is_named(stored));
    for candidate in stored {
        match contents.stored.iter().find(|kept| kept.record.run.id == candidate.record.run.id) {
            None => contents.stored.push(candidate),
            Some(kept) => {
                let original = kept.path.file_name().unwrap_or_default().to_string_lossy();
                let reason = format!("a copy: run {} is counted from {original}", candidate.record.run.id);
                contents.skipped.push(Skipped { path: candidate.path, reason });
            }
        }
    }
    contents.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    contents.stored.sort_by(|a, b| {
        let key = |stored: &Stored| {
            let run = &stored.record.run;
            (run.name.clone(), run.seed, run.id.clone())
        };
        key(a).cmp(&key(b))
    });
    Ok(contents)
}

/// Reads one record.
pub(crate) fn read_file(path: &Path) -> Result<RunRecord, RecordError> {
    let io = |source| RecordError::Io { action: "read", path: path.to_owned(), source };
    let facts = std::fs::metadata(path).map_err(io)?;
    // A pipe would be waited for, and a device may have no end.
    if !facts.is_file() {
        return Err(RecordError::NoFile { path: path.to_owned() });
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(io)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(RecordError::TooLarge { path: path.to_owned(), bytes: facts.len(), most: MOST_BYTES });
    }
    let parse = |source| RecordError::Parse { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(parse)?;
    // The version is looked at first, so that an old layout is named instead of a missing field.
    if let Some(found) = value.get("schema").and_then(serde_json::Value::as_u64)
        && found != u64::from(SCHEMA_VERSION)
    {
        return Err(RecordError::Version { path: path.to_owned(), found, expected: SCHEMA_VERSION });
    }
    serde_json::from_value(value).map_err(parse)
}
