//! Records on disk: one file a run, replaced whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{RecordError, RunId, RunRecord, RunStatus, SCHEMA_VERSION};

/// The records of one experiment, in `<folder>/runs`.
#[derive(Debug, Clone)]
pub struct RunStore {
    folder: PathBuf,
}

impl RunStore {
    /// The store below an experiment's results folder. Nothing is created before the first [`RunStore::write`].
    pub fn open(folder: &Path) -> Self {
        Self { folder: folder.join("runs") }
    }

    /// The file of one run, whether it exists or not.
    pub fn path(&self, id: &RunId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Reads one record; `None` when the run was never recorded.
    ///
    /// # Errors
    /// The file cannot be read, is no record, or has another layout version.
    pub fn read(&self, id: &RunId) -> Result<Option<RunRecord>, RecordError> {
        let path = self.path(id);
        if path.exists() { read_file(&path).map(Some) } else { Ok(None) }
    }

    /// Reads every record, ordered by output name, then seed, then id.
    ///
    /// # Errors
    /// As [`RunStore::read`]; a missing folder is an empty store.
    pub fn read_all(&self) -> Result<Vec<RunRecord>, RecordError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let io = |source| RecordError::Io { action: "list", path: self.folder.clone(), source };
        let mut records = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.push(read_file(&path)?);
            }
        }
        records.sort_by(|a, b| (&a.output, a.seed, &a.id).cmp(&(&b.output, b.seed, &b.id)));
        Ok(records)
    }

    /// Writes one record, replacing an earlier record of the same run in one step.
    ///
    /// # Errors
    /// The file system refused; the earlier record is then still whole.
    pub fn write(&self, record: &RunRecord) -> Result<(), RecordError> {
        let path = self.path(&record.id);
        let mut text = serde_json::to_string_pretty(record)
            .map_err(|source| RecordError::Parse { path: path.clone(), source })?;
        text.push('\n');
        write_atomically(&path, text.as_bytes()).map_err(|source| RecordError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// As [`RunStore::write`], but a failure does not take the place of a finished record of the same run: a run that
    /// is done again and breaks leaves the earlier result. Returns whether the record was written.
    ///
    /// # Errors
    /// As [`RunStore::read`] and [`RunStore::write`].
    pub fn write_unless_worse(&self, record: &RunRecord) -> Result<bool, RecordError> {
        let finished = |record: &RunRecord| matches!(record.status, RunStatus::Finished);
        if !finished(record) && self.read(&record.id)?.as_ref().is_some_and(finished) {
            return Ok(false);
        }
        self.write(record).map(|()| true)
    }
}

fn read_file(path: &Path) -> Result<RunRecord, RecordError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecordError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let parse = |source| RecordError::Parse { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(parse)?;
    // The version is looked at first, so that an old layout is named instead of a missing field.
    if let Some(found) = value.get("schema").and_then(serde_json::Value::as_u64)
        && found != u64::from(SCHEMA_VERSION)
    {
        return Err(RecordError::Version { path: path.to_owned(), found, expected: SCHEMA_VERSION });
    }
    serde_json::from_value(value).map_err(parse)
}

/// Writes `bytes` under a temporary name beside `path` and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// The file system refused; `path` is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    set_readable(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file is private to its owner; a record is for everybody, as a plain file would be.
#[cfg(unix)]
fn set_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_readable(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
