//! Reads the records of an experiment and says what does not fit together in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lexmax_records::{Contents, RunRecord, RunStore, Skipped};
use serde_json::Value;

use crate::ReportError;

/// Files among the records that are named one by one; the rest are counted.
const NAMED: usize = 20;

/// The records to report on, one for each output and seed.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Ordered by output name, then seed.
    pub records: Vec<RunRecord>,
    /// Sentences on what a reader must know before comparing the runs.
    pub notes: Vec<String>,
}

/// Reads `results/runs/*.json`. Files there that are no usable record are named in the notes.
///
/// # Errors
/// The folder cannot be read, or holds no record.
pub fn load(results: &Path) -> Result<Loaded, ReportError> {
    let contents: Contents = RunStore::open(results).read_all()?;
    let mut left_out = named(&contents.skipped);
    let records = contents.into_records();
    if records.is_empty() {
        return Err(ReportError::NoRecords { folder: results.join("runs"), left_out });
    }
    let mut loaded = select(records);
    left_out.append(&mut loaded.notes);
    Ok(Loaded { notes: left_out, ..loaded })
}

/// A sentence for each file that was left out.
fn named(skipped: &[Skipped]) -> Vec<String> {
    let name = |file: &Skipped| file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sentence = |file: &Skipped| format!("The file runs/{} was left out: {}.", name(file), file.reason);
    let mut sentences: Vec<String> = skipped.iter().take(NAMED).map(sentence).collect();
    if skipped.len() > NAMED {
        sentences.push(format!("{} more files in runs/ were left out.", skipped.len() - NAMED));
    }
    sentences
}

/// Keeps the latest record of each output and seed, and looks for what makes the rest hard to
/// compare.
pub fn select(records: Vec<RunRecord>) -> Loaded {
    let total = records.len();
    let mut latest: BTreeMap<(String, u64), RunRecord> = BTreeMap::new();
    for record in records {
        let key = (record.run.name.clone(), record.run.seed);
        // A run that finished says more than a later one that broke, and a later one more than an
        // earlier.
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
    let mut distinct = |what: &str, of: &dyn Fn(&RunRecord) -> String, warning: &str| {
        let values: BTreeSet<String> = records.iter().map(of).collect();
        if values.len() > 1 {
            let list: Vec<_> = values.into_iter().collect();
            notes.push(format!("The runs come from {} {what} ({}): {warning}.", list.len(), list.join("; ")));
        }
    };
    distinct("experiments", &|record| record.run.experiment.clone(), "compare with care");
    distinct(
        "corpora",
        &|record| format!("{} {}", record.run.corpus.name, record.run.corpus.hash),
        "perplexities of different corpora do not compare",
    );
    distinct(
        "machines or settings",
        &|record| {
            let e = &record.run.environment;
            format!("{}, {} of {} cores, {}, {}", e.cpu, e.threads, e.cores, e.device, e.dtype)
        },
        "times do not compare",
    );
    distinct(
        "builds",
        &|record| {
            let e = &record.run.environment;
            let commit = e.commit.as_deref().unwrap_or("no commit");
            let products =
                e.products.as_deref().map_or(String::new(), |name| format!(", products by {name}"));
            format!("lexmax {} {commit}, libtorch {}{products}", e.lexmax, e.libtorch)
        },
        "times may not compare",
    );
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

/// A configuration without its fields `seed` and `seeds` (each run names its own), with keys in
/// order: equal for the seeds of one output.
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
