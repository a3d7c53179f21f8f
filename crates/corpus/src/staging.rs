//! A directory that is written under a temporary name and appears whole or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::info::CorpusInfo;
use crate::{Corpus, CorpusError};

/// Locked by the process that builds, as long as it lives.
const LOCK: &str = "lock";
const SUFFIX: &str = ".tmp";
/// A temporary folder without a lock is a moment old, or was left by a version that locked none.
const SURELY_LEFT: Duration = Duration::from_secs(24 * 3600);

/// A corpus directory in the making, next to its final place. Dropped before [`Staging::finish`], it is removed.
pub(crate) struct Staging {
    /// Removed on drop; holds `dir`, which has the usual permissions, unlike the temporary folder itself.
    shell: TempDir,
    /// Tells other builds that this one is alive.
    _lock: File,
    dir: PathBuf,
    out: PathBuf,
}

impl Staging {
    /// Starts a corpus that will stand at `out`, whose missing parent folders are made. What killed builds of the same
    /// corpus left behind is removed.
    pub(crate) fn new(out: &Path) -> Result<Staging, CorpusError> {
        if std::fs::symlink_metadata(out).is_ok() {
            return Err(CorpusError::Exists { path: out.to_path_buf() });
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(CorpusError::io("make the folder", parent))?;
        let prefix = format!(".{}.", name_of(out));
        remove_left_behind(parent, &prefix);
        let shell = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .tempdir_in(parent)
            .map_err(CorpusError::io("make a temporary folder in", parent))?;
        let lock = hold_lock(shell.path()).map_err(CorpusError::io("lock", shell.path()))?;
        let dir = shell.path().join("corpus");
        std::fs::create_dir(&dir).map_err(CorpusError::io("make the folder", &dir))?;
        Ok(Staging { shell, _lock: lock, dir, out: out.to_path_buf() })
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

/// Makes the lock of a temporary folder. It appears locked, so that nobody finds it free in between.
fn hold_lock(shell: &Path) -> io::Result<File> {
    let unnamed = shell.join("new-lock");
    let file = File::create_new(&unnamed)?;
    match file.try_lock() {
        Ok(()) => std::fs::rename(unnamed, shell.join(LOCK))?,
        // A file system without locks: the folder then counts as one without a lock.
        Err(_) => std::fs::remove_file(unnamed)?,
    }
    Ok(file)
}

/// Removes temporary folders of builds that are dead. One that cannot be removed is in nobody's way.
fn remove_left_behind(parent: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let middle = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(SUFFIX));
        // A dot in it belongs to the longer name of another corpus.
        let ours = middle.is_some_and(|middle| !middle.is_empty() && !middle.contains('.'));
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_left_behind(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left_behind(shell: &Path) -> bool {
    match File::open(shell.join(LOCK)) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let changed = std::fs::metadata(shell).and_then(|metadata| metadata.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > SURELY_LEFT))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn folders_of_dead_builds_go_and_those_of_live_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let alive = Staging::new(&at("mine")).unwrap();
        // As a killed process leaves it: a lock that nobody holds.
        let make = |name: &str| {
            std::fs::create_dir_all(at(name).join("corpus")).unwrap();
            std::fs::write(at(name).join(LOCK), "").unwrap();
        };
        for name in [".mine.dead00.tmp", ".mine.v2.dead00.tmp", ".other.dead00.tmp"] {
            make(name);
        }
        // Just made, and not locked yet.
        std::fs::create_dir(at(".mine.young0.tmp")).unwrap();
        std::fs::create_dir(at(".mine.old000.tmp")).unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * SURELY_LEFT;
        File::open(at(".mine.old000.tmp")).unwrap().set_modified(long_ago).unwrap();

        let next = Staging::new(&at("mine")).unwrap();
        assert!(!at(".mine.dead00.tmp").exists() && !at(".mine.old000.tmp").exists());
        assert!(at(".mine.v2.dead00.tmp").exists() && at(".other.dead00.tmp").exists());
        assert!(at(".mine.young0.tmp").exists());
        assert!(alive.dir().exists() && next.dir().exists());
        drop((alive, next));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 3, "only the others' folders are left");
    }
}
