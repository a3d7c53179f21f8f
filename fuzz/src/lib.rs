//! Pieces that the fuzz targets share: a folder for each process, and inputs of several parts.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The separator of the parts of an input.
pub const SEPARATOR: &[u8] = b"\n---\n";

/// The folder of this process, in memory where the system has a file system for that.
pub fn folder() -> &'static Path {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let memory = PathBuf::from("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder")
    });
    FOLDER.path()
}

/// The parts of an input, at most so many; the last one may hold separators.
pub fn parts(data: &[u8], most: usize) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while parts.len() + 1 < most {
        let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) else { break };
        parts.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

/// Writes one file of an input.
pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("the folder of the process takes files");
}
