//! Records on disk: one file a run, replaced whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::folder::{self, Contents};
use crate::{RecordError, RunId, RunRecord};

/// The records of one experiment, in `<folder>/runs`.
#[derive(Debug, Clone)]
pub struct RunStore {
    folder: PathBuf,
}

impl RunStore {
    /// The store below an experiment's results folder. Nothing is created before the first
    /// [`RunStore::write`].
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
    /// The file cannot be read, is no record, is the record of another run, or has another layout
    /// version. A caller that is about to do the run again may go on as if there were none:
    /// [`RunStore::write`] keeps such a file aside.
    pub fn read(&self, id: &RunId) -> Result<Option<RunRecord>, RecordError> {
        let path = self.path(id);
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let record = folder::read_file(&path)?;
        if record.run.id != *id {
            return Err(RecordError::OtherRun { path, found: record.run.id });
        }
        Ok(Some(record))
    }

    /// Reads every record there is, each run once; files that are no usable record are named with
    /// the reason and hinder nothing.
    ///
    /// # Errors
    /// The folder itself cannot be listed; a missing folder is an empty store.
    pub fn read_all(&self) -> Result<Contents, RecordError> {
        folder::read(&self.folder)
    }

    /// Writes one record, replacing an earlier record of the same run in one step. Anything else
    /// that stands in its place (a damaged file, a folder, a record of another layout) is kept
    /// beside it as `<id>.json.unusable`.
    ///
    /// # Errors
    /// The file system refused; the earlier record is then still whole.
    pub fn write(&self, record: &RunRecord) -> Result<(), RecordError> {
        let path = self.path(&record.run.id);
        let mut text = serde_json::to_string_pretty(record)
            .map_err(|source| RecordError::Parse { path: path.clone(), source })?;
        text.push('\n');
        if self.read(&record.run.id).is_err() {
            let aside = self.free_name(&record.run.id);
            std::fs::rename(&path, aside).map_err(|source| RecordError::Io {
                action: "move aside",
                path: path.clone(),
                source,
            })?;
        }
        write_atomically(&path, text.as_bytes()).map_err(|source| RecordError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Writes one record as [`RunStore::write`] does, but a failure does not take the place of a
    /// finished record of the same run: a run that is done again and breaks leaves the earlier
    /// result. Returns whether the record was written.
    ///
    /// # Errors
    /// Errors of [`RunStore::write`].
    pub fn write_unless_worse(&self, record: &RunRecord) -> Result<bool, RecordError> {
        let finished = |record: &RunRecord| record.result().is_some();
        if !finished(record) && self.read(&record.run.id).ok().flatten().as_ref().is_some_and(finished) {
            return Ok(false);
        }
        self.write(record).map(|()| true)
    }

    /// A name beside the record's that nothing has yet.
    fn free_name(&self, id: &RunId) -> PathBuf {
        let name = |n: u32| match n {
            1 => self.folder.join(format!("{id}.json.unusable")),
            _ => self.folder.join(format!("{id}.json.unusable-{n}")),
        };
        (1..).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(1))
    }
}

/// Writes `bytes` under a temporary name beside `path` and renames it: a reader sees the old file
/// or the new one.
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
