//! A directory that is written under a temporary name and appears whole or not at all.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::info::CorpusInfo;
use crate::{Corpus, CorpusError};

/// A corpus directory in the making, next to its final place. Dropped before [`Staging::finish`], it is removed.
pub(crate) struct Staging {
    /// Removed on drop; holds `dir`, which has the usual permissions, unlike the temporary folder itself.
    shell: TempDir,
    dir: PathBuf,
    out: PathBuf,
}

impl Staging {
    /// Starts a corpus that will stand at `out`, whose missing parent folders are made.
    pub(crate) fn new(out: &Path) -> Result<Staging, CorpusError> {
        if std::fs::symlink_metadata(out).is_ok() {
            return Err(CorpusError::Exists { path: out.to_path_buf() });
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(CorpusError::io("make the folder", parent))?;
        let shell = tempfile::Builder::new()
            .prefix(&format!(".{}.", name_of(out)))
            .suffix(".tmp")
            .tempdir_in(parent)
            .map_err(CorpusError::io("make a temporary folder in", parent))?;
        let dir = shell.path().join("corpus");
        std::fs::create_dir(&dir).map_err(CorpusError::io("make the folder", &dir))?;
        Ok(Staging { shell, dir, out: out.to_path_buf() })
    }

    /// Where to write.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Checks what was written, describes it by `info`, moves it into place and opens it.
    pub(crate) fn finish(self, info: CorpusInfo) -> Result<Corpus, CorpusError> {
        Corpus::seal(&self.dir, info)?;
        std::fs::rename(&self.dir, &self.out)
            .map_err(CorpusError::io("move the finished corpus to", &self.out))?;
        drop(self.shell);
        Corpus::open(&self.out)
    }
}

/// The name of a corpus that stands at `out`, where no other is given.
pub(crate) fn name_of(out: &Path) -> String {
    out.file_name().map_or_else(|| "corpus".to_owned(), |name| name.to_string_lossy().into_owned())
}
