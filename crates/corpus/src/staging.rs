//! A directory that is written under a temporary name and appears whole or not at all, made by one
//! process at a time.
//!
//! A directory `NAME` is written in the folder `.NAME.lexmax.tmp` beside it, whose file `lock` is
//! locked by the process that builds, as long as it lives. Others wait for the lock, and then open
//! what the first made. A lock ends with its process, so what a killed build left behind is taken
//! over by the next one.
//!
//! On a file system without locks every build has a temporary folder of its own and nobody waits;
//! the first to finish wins, and the others open its directory.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::CorpusError;
use crate::observer::{self, Event, Observer};

const LOCK: &str = "lock";
const SUFFIX: &str = ".lexmax.tmp";
const WAIT: Duration = Duration::from_millis(50);

/// A directory in the making, next to its final place. Dropped before [`Staging::publish`], it is
/// removed.
#[derive(Debug)]
pub struct Staging {
    shell: PathBuf,
    dir: PathBuf,
    out: PathBuf,
    /// Lock of the folder; `None` on a file system without locks.
    lock: Option<File>,
}

impl Staging {
    /// Starts a directory that will stand at `out`, whose missing parent folders are made; waits
    /// while another process makes one there. None where something is at `out`, before or after.
    ///
    /// # Errors
    /// Folders that cannot be made, an observer that stops the waiting.
    pub fn start(out: &Path, observer: &mut dyn Observer) -> Result<Option<Staging>, CorpusError> {
        if exists(out) {
            return Ok(None);
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(CorpusError::io("make the folder", parent))?;
        let shell = parent.join(format!(".{}{SUFFIX}", name_of(out)));
        let staging = match acquire(&shell, out, observer)? {
            Some(lock) => Staging::locked(shell, out, lock)?,
            None => Staging::unlocked(parent, out)?,
        };
        // Whoever held the lock before may have finished.
        Ok((!exists(out)).then_some(staging))
    }

    fn locked(shell: PathBuf, out: &Path, lock: File) -> Result<Staging, CorpusError> {
        let dir = shell.join("corpus");
        // From here on an error removes the folder.
        let staging = Staging { shell, dir, out: out.to_path_buf(), lock: Some(lock) };
        if exists(&staging.dir) {
            // Left behind by a killed build.
            std::fs::remove_dir_all(&staging.dir)
                .map_err(CorpusError::io("remove what a killed build left in", &staging.dir))?;
        }
        staging.make_dir()
    }

    fn unlocked(parent: &Path, out: &Path) -> Result<Staging, CorpusError> {
        let shell = tempfile::Builder::new()
            .prefix(&format!(".{}.", name_of(out)))
            .suffix(SUFFIX)
            .tempdir_in(parent)
            .map_err(CorpusError::io("make a temporary folder in", parent))?
            .keep();
        let dir = shell.join("corpus");
        Staging { shell, dir, out: out.to_path_buf(), lock: None }.make_dir()
    }

    fn make_dir(self) -> Result<Staging, CorpusError> {
        std::fs::create_dir(&self.dir).map_err(CorpusError::io("make the folder", &self.dir))?;
        Ok(self)
    }

    /// Folder to write the files to.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves what was written into place; false where another build was faster, on a file system
    /// without locks.
    ///
    /// # Errors
    /// A directory that cannot be moved.
    pub fn publish(self) -> Result<bool, CorpusError> {
        match std::fs::rename(&self.dir, &self.out) {
            Ok(()) => Ok(true),
            Err(_) if exists(&self.out) => Ok(false),
            Err(error) => Err(CorpusError::io("move the finished directory to", &self.out)(error)),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way: the next build takes it over.
        let _ = std::fs::remove_dir_all(&self.dir);
        if self.lock.is_some() {
            let _ = std::fs::remove_file(self.shell.join(LOCK));
        }
        // Fails, rightly, where another process has locked a new file in it since.
        let _ = std::fs::remove_dir(&self.shell);
    }
}

/// Name of a directory that stands at `out`, where no other is given.
pub fn name_of(out: &Path) -> String {
    out.file_name().map_or_else(|| "corpus".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Whether anything is at `path`, be it a link to nothing.
fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Makes `shell` and locks it, once nobody else does; none where files cannot be locked.
fn acquire(shell: &Path, out: &Path, observer: &mut dyn Observer) -> Result<Option<File>, CorpusError> {
    let path = shell.join(LOCK);
    let mut told = false;
    loop {
        match std::fs::create_dir(shell) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(CorpusError::io("make the folder", shell)(error));
            }
            _ => {}
        }
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            // Its owner removed the folder just now.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(CorpusError::io("open", &path)(error)),
        };
        match file.try_lock() {
            // The owner before may have removed the file between opening and locking: a lock on it
            // holds nobody off.
            Ok(()) if is_at(&file, &path) => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                observer::check(observer)?;
                if !std::mem::replace(&mut told, true) {
                    observer.tell(Event::Waiting { out });
                }
                std::thread::sleep(WAIT);
            }
            Err(TryLockError::Error(_)) => {
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_dir(shell);
                return Ok(None);
            }
        }
    }
}

/// Whether an open file is the one that a path leads to.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => place(open) == place(named),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::observer::Unobserved;
    use crate::request::Request;
    use crate::{SynthOptions, synth};

    fn start(out: &Path) -> Staging {
        Staging::start(out, &mut Unobserved).unwrap().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folder_of_a_killed_build_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let shell = folder.path().join(".mine.lexmax.tmp");
        // As a killed process leaves it: a lock that nobody holds, and half a corpus.
        std::fs::create_dir_all(shell.join("corpus")).unwrap();
        std::fs::write(shell.join("corpus/train.bin"), "half").unwrap();
        std::fs::write(shell.join(LOCK), "").unwrap();
        let staging = start(&folder.path().join("mine"));
        assert_eq!(names(staging.dir()), [""; 0]);
        drop(staging);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn names_that_begin_alike_do_not_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let staged = ["mine", "mine.v2", "min"].map(|name| start(&folder.path().join(name)));
        assert_eq!(names(folder.path()).len(), 3);
        drop(staged);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn waiting_build_can_be_stopped() {
        /// Stops as soon as it hears that the build waits.
        struct StopsWaiting(bool);
        impl Observer for StopsWaiting {
            fn tell(&mut self, event: Event<'_>) {
                self.0 |= matches!(event, Event::Waiting { .. });
            }

            fn stop(&self) -> bool {
                self.0
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("mine");
        let first = start(&out);
        let second = Staging::start(&out, &mut StopsWaiting(false));
        assert!(matches!(second, Err(CorpusError::Interrupted)));
        assert!(first.dir().exists());
    }

    #[test]
    fn without_locks_the_second_opens_what_the_first_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("mine");
        let options =
            SynthOptions { vocab_size: 20, classes: 2, train_tokens: 100, ..SynthOptions::default() };
        let asked = Request::language(&options, &out);
        let staged = [(); 2].map(|()| Staging::unlocked(folder.path(), &out).unwrap());
        let hashes = staged.map(|staging| {
            let info = synth::write(&options, &out, staging.dir(), &mut Unobserved).unwrap();
            asked.finish(staging, &out, info, &mut Unobserved).unwrap().hash().to_owned()
        });
        assert_eq!(hashes[0], hashes[1]);
        assert_eq!(names(folder.path()), ["mine"]);
    }
}
