//! Records of configurations that an experiment no longer has. The report shows all records of a
//! results folder, so an old configuration under the name of a new one would pass for another seed
//! of it.

use std::path::Path;

use lexmax_records::{RunId, RunRecord, RunStore};
use serde_json::Value;

use crate::plan::Plan;
use crate::{LabError, Result};

/// Moves the records of this experiment whose configuration the plan no longer has, whatever the
/// seed, to `superseded/`, and those of the plan's runs that lie there back. Returns how many were
/// set aside. Nothing is ever deleted.
pub(crate) fn tidy(plan: &Plan, results: &Path) -> Result<usize> {
    let store = RunStore::open(results);
    let shelf = results.join("superseded");
    let planned: Vec<RunId> = plan.runs.iter().map(|run| without_seed(&run.json)).collect();
    let is_old = |record: &RunRecord| {
        record.run.experiment == plan.experiment && !planned.contains(&without_seed(&record.run.config))
    };
    let mut set_aside = 0;
    for old in store.read_all()?.stored.iter().filter(|stored| is_old(&stored.record)) {
        std::fs::create_dir_all(&shelf).map_err(LabError::io("make the folder", &shelf))?;
        let to = shelf.join(format!("{}.json", old.record.run.id));
        std::fs::rename(&old.path, to).map_err(LabError::io("move", &old.path))?;
        set_aside += 1;
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

/// Identity of a configuration without its seed: equal for the seeds of one output.
fn without_seed(config: &Value) -> RunId {
    let mut config = config.clone();
    if let Some(all) = config.as_object_mut() {
        all.remove("seed");
        if let Some(training) = all.get_mut("training").and_then(Value::as_object_mut) {
            training.remove("seeds");
        }
    }
    RunId::of_config(&config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seeds_alone_make_no_other_configuration() {
        let config =
            |seed: u64, batch: u64| json!({"seed": seed, "training": {"batch": batch, "seeds": [seed]}});
        assert_eq!(without_seed(&config(1, 4)), without_seed(&config(2, 4)));
        assert_ne!(without_seed(&config(1, 4)), without_seed(&config(1, 8)));
    }
}
