//! The measured choice in the user's cache folder: one small file, replaced whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::race::Rate;

/// Content of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Machine that the rates hold for.
    machine: String,
    /// Rates by name of the library, in GFLOP/s, the winner's name first asked for.
    winner: String,
    rates: Vec<(String, f64)>,
}

/// File of the choice: `lexmax/products.json` in `XDG_CACHE_HOME`, or else in `.cache` of the
/// user's home; `None` where there is neither.
pub fn file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Some(folder.filter(|folder| folder.is_absolute())?.join("lexmax").join("products.json"))
}

/// The kept winner and rates for a machine. A file that cannot be read, is damaged or of another
/// machine counts as none: it is measured again.
pub(crate) fn read(file: &Path, machine: &str) -> Option<(String, Vec<Rate>)> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let rates = kept.rates.into_iter().map(|(name, gflops)| Rate { name, gflops }).collect();
    (kept.machine == machine).then_some((kept.winner, rates))
}

/// Forgets the kept choice, so that the next call of [`crate::chosen`] in a new process measures.
///
/// # Errors
/// The file cannot be removed.
pub fn forget() -> std::io::Result<()> {
    match file().map(std::fs::remove_file) {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Keeps a winner. Where the folder cannot be written, the next process measures again.
pub(crate) fn write(file: &Path, machine: &str, winner: &str, rates: &[Rate]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let rates = rates.iter().map(|rate| (rate.name.clone(), rate.gflops)).collect();
    let kept = Kept { machine: machine.to_owned(), winner: winner.to_owned(), rates };
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut temporary, &kept)?;
    temporary.write_all(b"\n")?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn choice_is_read_back_for_its_own_machine_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep").join("products.json");
        assert_eq!(read(&file, "a"), None);
        let rates = [("gemm", 90.5), ("blas", 40.25)];
        let rates = rates.map(|(name, gflops)| Rate { name: name.to_owned(), gflops });
        write(&file, "a", "gemm", &rates).unwrap();
        assert_eq!(read(&file, "a"), Some(("gemm".to_owned(), rates.to_vec())));
        assert_eq!(read(&file, "b"), None);
        std::fs::write(&file, b"{\"machine\": \"a\", \"win").unwrap();
        assert_eq!(read(&file, "a"), None, "a file cut short");
    }
}
