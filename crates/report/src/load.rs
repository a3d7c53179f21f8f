//! Reads the records of an experiment and says what does not fit together in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lexmax_records::{RunRecord, RunStore};
use serde_json::Value;

use crate::ReportError;

/// The records to report on, one for each output and seed.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Ordered by output name, then seed.
    pub records: Vec<RunRecord>,
    /// Sentences on what a reader must know before comparing the runs.
    pub notes: Vec<String>,
}

/// Reads `results/runs/*.json`.
///
/// # Errors
/// A record cannot be read, or there is none.
pub fn load(results: &Path) -> Result<Loaded, ReportError> {
    let records = RunStore::open(results).read_all()?.into_records();
    if records.is_empty() {
        return Err(ReportError::NoRecords { folder: results.join("runs") });
    }
    Ok(select(records))
}

/// Keeps the latest record of each output and seed, and looks for what makes the rest hard to compare.
pub fn select(records: Vec<RunRecord>) -> Loaded {
    let total = records.len();
    let mut latest: BTreeMap<(String, u64), RunRecord> = BTreeMap::new();
    for record in records {
        let key = (record.run.name.clone(), record.run.seed);
        // A run that finished says more than a later one that broke, and a later one more than an earlier.
        let rank =
            |record: &RunRecord| (record.result().is_some(), record.run.started_unix, record.run.id.clone());
        if latest.get(&key).is_none_or(|kept| rank(kept) < rank(&record)) {
            latest.insert(key, record);
        }
    }
    let records: Vec<RunRecord> = latest.into_values().collect();
    let mut notes = Vec::new();
    if records.len() < total {
        let left_out = total - records.len();
        notes.push(format!(
            "{left_out} superseded {} left out: another record has the same output and seed (the latest finished \
             one counts).",
            if left_out == 1 { "record was" } else { "records were" }
        ));
    }
    let distinct = |what: &str, values: BTreeSet<String>, warning: &str| {
        (values.len() > 1).then(|| {
            let list: Vec<_> = values.into_iter().collect();
            format!("The runs come from {} {what} ({}): {warning}.", list.len(), list.join("; "))
        })
    };
    notes.extend(distinct(
        "experiments",
        records.iter().map(|record| record.run.experiment.clone()).collect(),
        "compare with care",
    ));
    notes.extend(distinct(
        "corpora",
        records
            .iter()
            .map(|record| format!("{} {}", record.run.corpus.name, record.run.corpus.hash))
            .collect(),
        "perplexities of different corpora do not compare",
    ));
    notes.extend(distinct(
        "machines or settings",
        records
            .iter()
            .map(|record| {
                let e = &record.run.environment;
                format!("{}, {} of {} cores, {}, {}", e.cpu, e.threads, e.cores, e.device, e.dtype)
            })
            .collect(),
        "times do not compare",
    ));
    notes.extend(distinct(
        "builds",
        records
            .iter()
            .map(|record| {
                let e = &record.run.environment;
                format!(
                    "lexmax {} {}, libtorch {}",
                    e.lexmax,
                    e.commit.as_deref().unwrap_or("no commit"),
                    e.libtorch
                )
            })
            .collect(),
        "times may not compare",
    ));
    let mut configs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for record in &records {
        configs.entry(&record.run.name).or_default().insert(without_seed(&record.run.config).to_string());
    }
    for (output, configs) in configs {
        if configs.len() > 1 {
            notes.push(format!(
                "The seeds of {output:?} ran with {} different configurations; their mean mixes them.",
                configs.len()
            ));
        }
    }
    Loaded { records, notes }
}

/// A configuration without its fields `seed` and `seeds` (each run names its own), with keys in order: equal for the seeds of
/// one output.
pub(crate) fn without_seed(config: &Value) -> Value {
    match config {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> =
                map.iter().filter(|(key, _)| *key != "seed" && *key != "seeds").collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), without_seed(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_seed).collect()),
        scalar => scalar.clone(),
    }
}
