//! The store on a real file system: each record comes back as it was written, whole or not at all.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::record;
use lexmax_records::{Contents, RunId, RunRecord, RunStatus, RunStore, write_atomically};
use serde_json::json;

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn written_records_are_read_back_unchanged_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut failed = record("nce", 1);
    failed.status = RunStatus::Failed { error: "loss is not finite".into(), step: Some(17) };
    let written = [record("sampled", 2), failed, record("sampled", 1)];
    for record in &written {
        store.write(record).unwrap();
    }
    assert_eq!(
        store.read_all().unwrap().into_records(),
        [&written[1], &written[2], &written[0]].map(Clone::clone)
    );
    for record in &written {
        assert_eq!(store.read(&record.run.id).unwrap().as_ref(), Some(record));
    }
    assert_eq!(store.read(&RunId::of_config(&json!({"never": "ran"}))).unwrap(), None);
}

#[test]
fn the_curve_of_a_diverged_run_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut diverged = record("nce", 1);
    diverged.status = RunStatus::Failed { error: "loss is not finite".into(), step: Some(10) };
    diverged.curve[0].train_loss = f64::NAN;
    diverged.curve[0].valid_nll = f64::INFINITY;
    store.write(&diverged).unwrap();
    let back = store.read(&diverged.run.id).unwrap().unwrap();
    assert!(back.curve[0].train_loss.is_nan());
    assert_eq!(back.curve[0].valid_nll, f64::INFINITY);
}

#[test]
fn an_absent_store_is_empty_and_reading_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("none");
    assert_eq!(RunStore::open(&results).read_all().unwrap(), Contents::default());
    assert!(!results.exists());
}

#[test]
fn second_write_replaces_the_file_atomically() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut run = record("full", 1);
    store.write(&run).unwrap();
    // A reader that opened the earlier file goes on reading the earlier file: it is replaced, not
    // written over.
    let open = std::fs::File::open(store.path(&run.run.id)).unwrap();
    run.run.started_unix += 1;
    run.curve.clear();
    store.write(&run).unwrap();
    let earlier: RunRecord = serde_json::from_reader(open).unwrap();
    assert_eq!(earlier, record("full", 1));
    assert_eq!(store.read(&run.run.id).unwrap(), Some(run.clone()));
    assert_eq!(files(&folder.path().join("runs")), [format!("{}.json", run.run.id)]);
}

#[test]
fn a_failure_does_not_take_the_place_of_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let finished = record("full", 1);
    let mut failed = finished.clone();
    failed.status = RunStatus::Failed { error: "signal 9".into(), step: None };
    let mut again = finished.clone();
    again.run.started_unix += 1;

    assert!(store.write_unless_worse(&failed).unwrap());
    assert!(store.write_unless_worse(&finished).unwrap());
    assert!(!store.write_unless_worse(&failed).unwrap());
    assert_eq!(store.read(&finished.run.id).unwrap(), Some(finished));
    assert!(store.write_unless_worse(&again).unwrap());
    assert_eq!(store.read(&again.run.id).unwrap(), Some(again));
}

#[test]
fn a_refused_write_leaves_the_earlier_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.txt");
    write_atomically(&path, b"earlier").unwrap();
    // A folder in the place of the file cannot be replaced by a file.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("inside"), b"kept").unwrap();
    assert!(write_atomically(&taken, b"later").is_err());
    assert_eq!(std::fs::read(taken.join("inside")).unwrap(), b"kept");
    // A path below a file has no folder to be written in.
    assert!(write_atomically(&path.join("below"), b"later").is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"earlier");
    assert_eq!(files(folder.path()), ["file.txt", "taken"]);
}

#[cfg(unix)]
#[test]
fn a_record_is_readable_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    write_atomically(&path, b"{}").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn figures_follow_from_what_is_stored() {
    let result = record("full", 1).result().unwrap().clone();
    assert!((result.test.nll() - 2.5).abs() < 1e-12);
    assert!((result.test.perplexity() - 2.5_f64.exp()).abs() < 1e-9);
    assert!((result.excess_nats().unwrap() - 0.25).abs() < 1e-12);
}
