//! Origin of the records in a results folder: two experiment files of one name must not share a
//! folder unnoticed, since each would take the records of the other for old ones of its own.

use std::path::{Component, Path, PathBuf};

use lexmax_records::RunStore;

use crate::plan::Plan;
use crate::{LabError, Result};

/// Refuses a plan where the folder has records of another experiment file of the same name. A file
/// that is no longer where it was has been moved or renamed, and its records go with the name.
///
/// # Errors
/// Such a file, with both paths; a folder that cannot be listed.
pub fn check_results(plan: &Plan, results: &Path) -> Result<()> {
    let Ok(own) = plan.file.canonicalize() else { return Ok(()) };
    for stored in RunStore::open(results).read_all()?.stored {
        let run = stored.record.run;
        let Some(file) = run.experiment_file.filter(|_| run.experiment == plan.experiment) else { continue };
        let Ok(other) = results.join(&file).canonicalize() else { continue };
        if other != own {
            return Err(LabError::SharedResults {
                results: results.to_owned(),
                other,
                given: own,
                name: plan.experiment.clone(),
            });
        }
    }
    Ok(())
}

/// The path from a folder to a file, through the folders that they share; `None` where one of them
/// does not exist.
pub(crate) fn relative(file: &Path, folder: &Path) -> Option<String> {
    let (file, folder) = (file.canonicalize().ok()?, folder.canonicalize().ok()?);
    let shared = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    // On a system with drives there may be no way from one to the other.
    if shared == 0 {
        return file.to_str().map(str::to_owned);
    }
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.components().skip(shared)).collect();
    path.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn relative_paths_lead_back_to_the_file() {
        let root = tempfile::tempdir().unwrap();
        let (file, results) = (root.path().join("a/x.toml"), root.path().join("results/x"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::create_dir_all(&results).unwrap();
        std::fs::write(&file, "").unwrap();
        let path = relative(&file, &results).unwrap();
        assert_eq!(path, "../../a/x.toml");
        assert_eq!(results.join(path).canonicalize().unwrap(), file.canonicalize().unwrap());
        assert_eq!(relative(&root.path().join("none"), &results), None);
    }
}
