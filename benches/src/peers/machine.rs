//! Folder of the machine that times: lines of one processor never stand beside those of another.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lexmax_records::Environment;

use super::report::{ENVIRONMENT, LINES, read_environment};

/// Name of a machine's folder: its processor, its widest vector instructions and its cores, as in
/// `some-processor-avx512-8-cores`. Rented machines often give only the maker's name, and the
/// instructions tell their generations apart.
pub fn folder(environment: &Environment) -> String {
    folder_of(&environment.cpu, instructions(), environment.cores)
}

/// Folders of machines that left lines, by name.
///
/// # Errors
/// There is none, or the folder cannot be listed.
pub fn folders(results: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(results).with_context(|| format!("list {}", results.display()))?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|folder| folder.join(LINES).is_file());
    folders.sort();
    ensure!(!folders.is_empty(), "{}: no folder of a machine with stored lines", results.display());
    Ok(folders)
}

/// Refuses to write into the folder of another machine: one that was renamed, or copied.
///
/// # Errors
/// Processor or cores there are others.
pub fn refuse_others(folder: &Path, environment: &Environment) -> Result<()> {
    if !folder.join(ENVIRONMENT).exists() {
        return Ok(());
    }
    let there = read_environment(folder)?;
    let facts = |of: &Environment| format!("{} with {} cores", of.cpu, of.cores);
    ensure!(
        facts(&there) == facts(environment),
        "{} holds the timings of another machine, {}; expected {}, or an empty folder",
        folder.display(),
        facts(&there),
        facts(environment)
    );
    Ok(())
}

fn folder_of(cpu: &str, instructions: &str, cores: usize) -> String {
    let letters = cpu.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let letters: String = letters.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    let mut words: Vec<&str> = letters.split_whitespace().collect();
    words.push(instructions);
    let noun = if cores == 1 { "core" } else { "cores" };
    format!("{}-{cores}-{noun}", words.join("-"))
}

/// The widest vector instructions of this processor.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timings_of_another_machine_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let here = lexmax_lab::machine::environment(None, 1, "cpu", "f32");
        assert!(refuse_others(folder.path(), &here).is_ok(), "an empty folder");
        let other = Environment { cpu: "Some CPU 9000".into(), ..here.clone() };
        std::fs::write(folder.path().join(ENVIRONMENT), serde_json::to_vec(&other).unwrap()).unwrap();
        let error = refuse_others(folder.path(), &here).unwrap_err().to_string();
        assert!(error.contains("Some CPU 9000") && error.contains(&here.cpu), "{error}");
        assert!(refuse_others(folder.path(), &other).is_ok());
    }

    #[test]
    fn a_folder_is_named_by_processor_instructions_and_cores() {
        let cases = [
            (("AMD EPYC", "avx512", 2), "amd-epyc-avx512-2-cores"),
            (("Intel(R) Xeon(R) CPU @ 2.20GHz", "avx2", 1), "intel-xeon-cpu-2-20ghz-avx2-1-core"),
            (("../..", "avx2", 4), "avx2-4-cores"),
        ];
        for ((cpu, instructions, cores), expected) in cases {
            assert_eq!(folder_of(cpu, instructions, cores), expected);
        }
    }

    #[test]
    fn folder_differs_by_processor_instructions_and_cores() {
        let one = folder_of("A 1", "avx2", 2);
        for other in [folder_of("A 2", "avx2", 2), folder_of("A 1", "avx512", 2), folder_of("A 1", "avx2", 4)]
        {
            assert_ne!(one, other);
        }
    }
}
