//! Golden files: cases that other packages computed, in `testdata/golden` of the repository.

use std::path::PathBuf;

/// The golden files whose names begin with `prefix`, sorted: those of the repository, then those of
/// the folder that the variable LEXMAX_GOLDEN names.
///
/// # Panics
/// Where a folder cannot be read or the repository's has no such file: a test that compares with
/// nothing would hold nothing.
pub fn golden_files(prefix: &str) -> Vec<PathBuf> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden"));
    let mut files = files_in(own, prefix);
    assert!(!files.is_empty(), "testdata/golden of the repository has no file {prefix}*.safetensors");
    if let Some(named) = std::env::var_os("LEXMAX_GOLDEN") {
        files.extend(files_in(PathBuf::from(named), prefix));
    }
    files
}

fn files_in(folder: PathBuf, prefix: &str) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".safetensors")
    });
    files.sort();
    files
}
