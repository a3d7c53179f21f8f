//! Records of configurations that an experiment no longer has. The report shows all records of a results folder, so an
//! old configuration under the name of a new one would pass for another seed of it.

use std::path::Path;

use lexmax_records::RunStore;

use crate::plan::Plan;
use crate::{LabError, Result};

/// Moves the records that are not of this plan to `superseded/`, and those of this plan that lie there back. Returns how
/// many were set aside. Nothing is ever deleted.
pub(crate) fn tidy(plan: &Plan, results: &Path) -> Result<usize> {
    let store = RunStore::open(results);
    let shelf = results.join("superseded");
    let mut set_aside = 0;
    for record in store.read_all()? {
        if !plan.runs.iter().any(|run| run.id == record.id) {
            std::fs::create_dir_all(&shelf).map_err(LabError::io("make the folder", &shelf))?;
            let from = store.path(&record.id);
            let to = shelf.join(format!("{}.json", record.id));
            std::fs::rename(&from, to).map_err(LabError::io("move", &from))?;
            set_aside += 1;
        }
    }
    for run in &plan.runs {
        let from = shelf.join(format!("{}.json", run.id));
        let to = store.path(&run.id);
        if from.exists() && !to.exists() {
            let folder = to.parent().unwrap_or(results);
            std::fs::create_dir_all(folder).map_err(LabError::io("make the folder", folder))?;
            std::fs::rename(&from, to).map_err(LabError::io("move", &from))?;
        }
    }
    Ok(set_aside)
}
