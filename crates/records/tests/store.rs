//! The store on a real file system: what is written comes back, whole or not at all, and what is no record is named.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use lexmax_records::{
    Band, BandedNll, CorpusFacts, CurvePoint, Environment, RecordError, RunId, RunRecord, RunResult,
    RunStatus, RunStore, SCHEMA_VERSION, write_atomically,
};
use serde_json::json;

fn record(output: &str, seed: u64) -> RunRecord {
    let config = json!({"output": {"name": output, "samples": 256}, "seed": seed});
    RunRecord {
        schema: SCHEMA_VERSION,
        id: RunId::of_config(&config),
        experiment: "store".into(),
        output: output.into(),
        family: "sampled".into(),
        seed,
        config,
        environment: Environment {
            cpu: "a processor".into(),
            cores: 2,
            threads: 2,
            memory_bytes: 8 << 30,
            os: "linux x86_64".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            libtorch: "2.13.0".into(),
            lexmax: "0.1.0".into(),
            commit: None,
        },
        corpus: CorpusFacts {
            name: "synthetic".into(),
            hash: "abc".into(),
            vocab_size: 20,
            train_tokens: 1000,
            valid_tokens: 100,
            test_tokens: 100,
        },
        started_unix: 1_700_000_000,
        status: RunStatus::Finished,
        curve: vec![CurvePoint {
            step: 10,
            tokens: 700,
            train_seconds: 0.1 + 0.2,
            train_loss: 2.5,
            valid_nll: 2.75,
            valid_tokens: 100,
            learning_rate: 20.0,
        }],
        result: Some(RunResult {
            test: BandedNll {
                nats: 250.0,
                tokens: 100,
                bands: vec![
                    Band { from: 0, to: 10, nats: 50.0, tokens: 60 },
                    Band { from: 10, to: 20, nats: 200.0, tokens: 40 },
                ],
            },
            valid_nll: 2.75,
            true_test_nll: Some(2.25),
            train_seconds: 1.5,
            setup_seconds: 0.25,
            steps: 10,
            tokens: 700,
            train_tokens_per_second: 560.0,
            eval_tokens_per_second: 1234.5,
            layer_ms_per_step: 3.25,
            top_k_ms: 0.125,
            top_k_rows: 35,
            parameters: 4000,
            layer_parameters: 2000,
            peak_memory_bytes: 100 << 20,
        }),
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn finished_and_failed_records_come_back_as_they_were_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut failed = record("nce", 1);
    failed.status = RunStatus::Failed { error: "loss is not finite".into(), step: Some(17) };
    failed.result = None;
    let written = [record("sampled", 2), failed, record("sampled", 1)];
    for record in &written {
        store.write(record).unwrap();
    }
    assert_eq!(store.read_all().unwrap(), [&written[1], &written[2], &written[0]].map(Clone::clone));
    for record in &written {
        assert_eq!(store.read(&record.id).unwrap().as_ref(), Some(record));
    }
    assert_eq!(store.read(&RunId::of_config(&json!({"never": "ran"}))).unwrap(), None);
}

#[test]
fn the_curve_of_a_diverged_run_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut diverged = record("nce", 1);
    diverged.status = RunStatus::Failed { error: "loss is not finite".into(), step: Some(10) };
    diverged.result = None;
    diverged.curve[0].train_loss = f64::NAN;
    diverged.curve[0].valid_nll = f64::INFINITY;
    store.write(&diverged).unwrap();
    let back = store.read(&diverged.id).unwrap().unwrap();
    assert!(back.curve[0].train_loss.is_nan());
    assert_eq!(back.curve[0].valid_nll, f64::INFINITY);
}

#[test]
fn an_absent_store_is_empty_and_reading_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("none");
    assert_eq!(RunStore::open(&results).read_all().unwrap(), []);
    assert!(!results.exists());
}

#[test]
fn a_second_write_replaces_the_file_in_one_step_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let mut run = record("full", 1);
    store.write(&run).unwrap();
    // A reader that opened the earlier file goes on reading the earlier file: it is replaced, not written over.
    let open = std::fs::File::open(store.path(&run.id)).unwrap();
    run.started_unix += 1;
    run.curve.clear();
    store.write(&run).unwrap();
    let earlier: RunRecord = serde_json::from_reader(open).unwrap();
    assert_eq!(earlier, record("full", 1));
    assert_eq!(store.read(&run.id).unwrap(), Some(run.clone()));
    assert_eq!(files(&folder.path().join("runs")), [format!("{}.json", run.id)]);
}

#[test]
fn a_failure_does_not_take_the_place_of_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let finished = record("full", 1);
    let mut failed = finished.clone();
    failed.status = RunStatus::Failed { error: "signal 9".into(), step: None };
    failed.result = None;
    let mut again = finished.clone();
    again.started_unix += 1;

    assert!(store.write_unless_worse(&failed).unwrap());
    assert!(store.write_unless_worse(&finished).unwrap());
    assert!(!store.write_unless_worse(&failed).unwrap());
    assert_eq!(store.read(&finished.id).unwrap(), Some(finished));
    assert!(store.write_unless_worse(&again).unwrap());
    assert_eq!(store.read(&again.id).unwrap(), Some(again));
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
fn another_layout_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let run = record("full", 1);
    store.write(&run).unwrap();
    let path = store.path(&run.id);
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    value["schema"] = json!(SCHEMA_VERSION + 1);
    // A later layout may lack fields of this one; the message must still be about the version.
    value.as_object_mut().unwrap().remove("curve");
    std::fs::write(&path, value.to_string()).unwrap();
    for error in [store.read(&run.id).unwrap_err(), store.read_all().unwrap_err()] {
        assert!(matches!(error, RecordError::Version { found, expected, .. }
            if found == u64::from(SCHEMA_VERSION) + 1 && expected == SCHEMA_VERSION));
        let words = error.to_string();
        assert!(words.contains(&path.display().to_string()), "{words}");
        assert!(words.contains(&format!("layout {}", SCHEMA_VERSION + 1)), "{words}");
    }
}

#[test]
fn a_truncated_record_and_a_record_without_version_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let run = record("full", 1);
    store.write(&run).unwrap();
    let path = store.path(&run.id);
    let whole = std::fs::read(&path).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"{\"output\": \"full\"}", b"", b"[]"] {
        std::fs::write(&path, bytes).unwrap();
        for error in [store.read(&run.id).unwrap_err(), store.read_all().unwrap_err()] {
            assert!(matches!(error, RecordError::Parse { .. }), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(store.read(&run.id).unwrap_err().to_string().contains(&path.display().to_string()));
}

#[test]
fn other_files_in_the_folder_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(folder.path());
    let run = record("full", 1);
    store.write(&run).unwrap();
    std::fs::write(folder.path().join("runs/.writing-Ab12"), b"{\"half\": ").unwrap();
    std::fs::write(folder.path().join("runs/notes.txt"), b"notes").unwrap();
    assert_eq!(store.read_all().unwrap(), [run]);
}

#[test]
fn figures_follow_from_what_is_stored() {
    let result = record("full", 1).result.unwrap();
    assert!((result.test.nll() - 2.5).abs() < 1e-12);
    assert!((result.test.perplexity() - 2.5_f64.exp()).abs() < 1e-9);
    assert!((result.excess_nats().unwrap() - 0.25).abs() < 1e-12);
}
