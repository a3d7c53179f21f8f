//! The report as a whole: what is written, that it is written alike each time, and what it says
//! when runs are missing.

#![allow(clippy::unwrap_used)]

mod literals;
mod not_finite;
mod other_tokens;
mod registry;

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;

use crate::columns::{PERPLEXITY, SPEED};
use crate::load::select;
use crate::stats::paired::Verdict;
use crate::summary::{Standing, Summary};
use crate::synthetic::{OUTPUTS, broken, many, run, write};
use crate::{ReportError, ReportOptions, write_report};

fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

fn summary(records: Vec<lexmax_records::RunRecord>) -> Summary {
    Summary::new(select(records), &ReportOptions::default()).unwrap()
}

#[test]
fn a_second_report_has_the_same_bytes_and_every_part_is_there() {
    let results = tempfile::tempdir().unwrap();
    write(results.path(), &many());
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    let first = bytes(&paths.folder);
    let again = write_report(results.path(), &ReportOptions::default()).unwrap();
    assert_eq!(paths, again);
    let second = bytes(&paths.folder);
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (file, bytes) in &first {
        assert!(second[file] == *bytes, "{file} differs");
        assert!(!bytes.is_empty(), "{file} is empty");
    }
    let mut written: Vec<_> =
        paths.files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    written.sort();
    assert_eq!(written, first.keys().cloned().collect::<Vec<_>>(), "nothing else lies in the folder");
    assert_eq!(written.len(), 7 + 2 * 5 + 1);

    let page = std::str::from_utf8(&first["report.html"]).unwrap();
    assert_eq!(page.matches("<svg ").count(), 5);
    for word in ["http://", "https://", "<script", "<link", "<img", "url("] {
        // The one address is the name of the SVG language.
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(word);
        assert!(!found, "the page holds {word}");
    }
    for (name, ..) in OUTPUTS {
        assert!(page.contains(name), "{name}");
    }
    for words in
        ["Made-up processor", "made-up words", "loss is not finite at step 340", "lexmax report results/"]
    {
        assert!(page.contains(words), "{words}");
    }
    for (file, start) in
        [("pareto.png", b"\x89PNG".as_slice()), ("table.parquet", b"PAR1"), ("bands.svg", b"<svg ")]
    {
        assert!(first[file].starts_with(start), "{file}");
    }
}

#[test]
fn tables_hold_the_figures_of_the_records() {
    let records = many();
    let full: Vec<f64> = records
        .iter()
        .filter(|record| record.run.name == "full")
        .map(|record| record.result().unwrap().test.perplexity())
        .collect();
    let results = tempfile::tempdir().unwrap();
    write(results.path(), &records);
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    let csv = |file: &str| {
        let text = std::fs::read(paths.folder.join(file)).unwrap();
        CsvReader::new(std::io::Cursor::new(text)).finish().unwrap()
    };
    let parquet = |file: &str| {
        let text = std::fs::read(paths.folder.join(file)).unwrap();
        ParquetReader::new(std::io::Cursor::new(text)).finish().unwrap()
    };
    for (table, runs) in
        [(csv("table.csv"), csv("runs.csv")), (parquet("table.parquet"), parquet("runs.parquet"))]
    {
        assert_eq!((table.height(), runs.height()), (12, 24));
        let names = table.column("output").unwrap().str().unwrap().clone();
        let at = names.iter().position(|name| name == Some("full")).unwrap();
        let number = |column: &str| table.column(column).unwrap().f64().unwrap().get(at);
        let mean = 0.5 * (full[0] + full[1]);
        assert!((number("test_perplexity").unwrap() - mean).abs() < 1e-9);
        // Two values: half width t(0.975, 1) |a - b| / 2 with t = 12.7062047.
        let half = 12.706_204_736 * 0.5 * (full[0] - full[1]).abs();
        assert!((number("test_perplexity_ci95").unwrap() / half - 1.0).abs() < 1e-9);
        assert_eq!(number("perplexity_change_percent"), None);
        assert!((number("excess_nats").unwrap() - (5.105 - 4.9)).abs() < 0.01);
        let sorted = table.column("test_perplexity").unwrap().f64().unwrap().clone();
        assert!(sorted.iter().zip(sorted.iter().skip(1)).all(|(a, b)| a <= b));
        assert_eq!(runs.column("error").unwrap().null_count(), 23);
        assert_eq!(runs.column("test_nll").unwrap().null_count(), 1);
    }
    assert_eq!(csv("curves.csv").height(), 23 * 20 + 4);
}

#[test]
fn operating_points_are_the_fastest_within_the_tolerance() {
    let summary = summary(many());
    let reference = &summary.outputs[summary.reference.unwrap()];
    assert_eq!(reference.name, "full");
    let base = reference.figures.clone().unwrap();
    assert_eq!(summary.operating_points.len(), 3);
    for point in &summary.operating_points {
        let limit = base.mean(&PERPLEXITY) * (1.0 + point.tolerance_percent / 100.0);
        let chosen = summary.outputs[point.output].figures.clone().unwrap();
        assert!(chosen.mean(&PERPLEXITY) <= limit);
        for other in summary.outputs.iter().filter_map(|output| output.figures.as_ref()) {
            let faster = other.mean(&SPEED) > chosen.mean(&SPEED);
            assert!(!faster || other.mean(&PERPLEXITY) > limit);
        }
        let speedup = chosen.mean(&SPEED) / base.mean(&SPEED);
        assert_eq!(point.speedup, speedup);
    }
    // At 5 % something of another family is three times as fast, at 1 % it is not.
    let names: Vec<_> =
        summary.operating_points.iter().map(|point| summary.outputs[point.output].name.as_str()).collect();
    assert_eq!(names, ["full tied", "full tied", "adaptive div 2"]);
}

#[test]
fn options_choose_reference_and_tolerances_and_refuse_nonsense() {
    let options = |reference: Option<&str>, tolerances: &[f64]| ReportOptions {
        reference: reference.map(str::to_owned),
        tolerances_percent: tolerances.to_vec(),
    };
    let with = |options| Summary::new(select(many()), &options);
    let chosen = with(options(Some("huffman"), &[0.0, 50.0])).unwrap();
    assert_eq!(chosen.outputs[chosen.reference.unwrap()].name, "huffman");
    assert_eq!(chosen.operating_points.len(), 2);
    let full = chosen.outputs.iter().find(|output| output.name == "full").unwrap();
    assert!(full.change_percent().unwrap() < -30.0);
    let error = with(options(Some("fulll"), &[1.0])).unwrap_err();
    assert!(matches!(&error, ReportError::UnknownReference { name, .. } if name == "fulll"));
    let words = error.to_string();
    assert!(words.contains("two-level classes") && words.contains("did you mean \"full\"?"), "{words}");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(with(options(None, &[1.0, bad])), Err(ReportError::Tolerance { .. })));
    }
}

#[test]
fn verdicts_need_two_shared_seeds() {
    let summary = summary(many());
    let verdict =
        |name: &str| match summary.outputs.iter().find(|output| output.name == name).unwrap().standing {
            Standing::Compared { verdict, .. } => verdict,
            other => panic!("{other:?}"),
        };
    assert!(matches!(verdict("nce S=1024"), Verdict::OneSeed { .. }));
    assert!(matches!(verdict("huffman"), Verdict::Worse(_)));
    assert!(matches!(verdict("full tied"), Verdict::NoDifference(_)));
    let markdown = crate::markdown::table(&summary);
    assert!(
        markdown.contains("no difference shown") && markdown.contains("one seed: no verdict"),
        "{markdown}"
    );
    assert!(markdown.contains("loss is not finite at step 340"), "{markdown}");
}

#[test]
fn one_output_with_one_seed_and_no_full_softmax_is_a_report() {
    let results = tempfile::tempdir().unwrap();
    write(results.path(), &[run(OUTPUTS[7], 3)]);
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    let page = std::fs::read_to_string(&paths.page).unwrap();
    assert!(page.contains("No run of a full softmax finished, so there is nothing to compare to."));
    let points = std::fs::read_to_string(paths.folder.join("operating_points.md")).unwrap();
    assert!(points.contains("No run of a full softmax finished"));
}

#[test]
fn report_of_failed_runs_says_so_and_removes_earlier_charts() {
    let results = tempfile::tempdir().unwrap();
    let record = run(OUTPUTS[0], 1);
    write(results.path(), std::slice::from_ref(&record));
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    assert!(paths.folder.join("pareto.png").exists());
    write(results.path(), &[broken(record, 7)]);
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    assert!(!paths.folder.join("pareto.png").exists());
    assert!(paths.folder.join("learning_curves.png").exists());
    let page = std::fs::read_to_string(&paths.page).unwrap();
    assert!(page.contains("No run finished") && page.contains("loss is not finite at step 7"));
    assert_eq!(std::fs::read_to_string(paths.folder.join("table.csv")).unwrap().lines().count(), 2);
}

#[test]
fn no_records_and_broken_records_are_errors_that_name_the_place() {
    let results = tempfile::tempdir().unwrap();
    let error = write_report(results.path(), &ReportOptions::default()).unwrap_err();
    assert!(matches!(error, ReportError::NoRecords { .. }) && error.to_string().contains("runs"), "{error}");
    assert!(!results.path().join("report").exists());
    std::fs::create_dir(results.path().join("runs")).unwrap();
    std::fs::write(results.path().join("runs/broken.json"), "{").unwrap();
    let error = write_report(results.path(), &ReportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("runs/broken.json was left out: not a run record"), "{error}");
    // Beside a sound record it is a note.
    write(results.path(), &[run(OUTPUTS[0], 1)]);
    std::fs::create_dir(results.path().join("runs/folder.json")).unwrap();
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    let table = std::fs::read_to_string(&paths.table).unwrap();
    assert!(table.contains("> The file runs/broken.json was left out"), "{table}");
    assert!(table.contains("> The file runs/folder.json was left out: not a file."), "{table}");
    assert_eq!(std::fs::read_to_string(paths.folder.join("runs.csv")).unwrap().lines().count(), 2);
}

#[test]
fn text_from_records_cannot_become_markup() {
    let results = tempfile::tempdir().unwrap();
    let mut record = broken(run(OUTPUTS[0], 1), 3);
    record.run.name = "<script>alert(1)</script>".into();
    record.run.experiment = "a & b <i>".into();
    record.run.config = serde_json::json!({"text": "</pre><b>"});
    record.run.id = lexmax_records::RunId::of_config(&record.run.config);
    record.run.environment.cpu = "\"cpu\" <u>".into();
    record.status = lexmax_records::RunStatus::Failed {
        error: "expected <[N, D]> | found\n<img src=x>".into(),
        step: None,
    };
    write(results.path(), &[record, run(OUTPUTS[0], 1)]);
    let paths = write_report(results.path(), &ReportOptions::default()).unwrap();
    let page = std::fs::read_to_string(&paths.page).unwrap();
    for markup in ["<script", "<i>", "</pre><b>", "<u>", "<img"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let markdown = std::fs::read_to_string(&paths.table).unwrap();
    assert!(markdown.contains("&lt;img src=x&gt;") && !markdown.contains("<img"), "{markdown}");
}

#[test]
fn superseded_and_incomparable_records_are_pointed_out() {
    let mut old = run(OUTPUTS[0], 1);
    old.run.config["backbone"] = "smaller".into();
    old.run.id = lexmax_records::RunId::of_config(&old.run.config);
    old.run.started_unix -= 1000;
    let mut elsewhere = run(OUTPUTS[1], 1);
    elsewhere.run.environment.cpu = "another processor".into();
    let later_failure = {
        let mut record = broken(run(OUTPUTS[1], 1), 3);
        record.run.config["note"] = "again".into();
        record.run.id = lexmax_records::RunId::of_config(&record.run.config);
        record.run.started_unix += 1000;
        record
    };
    let mut other_config = run(OUTPUTS[0], 2);
    other_config.run.config["backbone"] = "larger".into();
    let loaded = select(vec![old, run(OUTPUTS[0], 1), elsewhere, later_failure, other_config]);
    assert_eq!(loaded.records.len(), 3);
    assert!(
        loaded
            .records
            .iter()
            .all(|record| record.result().is_some() && record.run.config["backbone"] != "smaller")
    );
    let notes = loaded.notes.join("\n");
    for words in
        ["2 superseded records", "2 machines or settings", "\"full\" ran with 2 different configurations"]
    {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    // Seeds differ in the seed alone: nothing to point out.
    let with_seed = |seed: u64| {
        let mut record = run(OUTPUTS[0], seed);
        record.run.config["training"] = serde_json::json!({ "seeds": [seed] });
        record
    };
    assert_eq!(select(vec![with_seed(1), with_seed(2)]).notes, Vec::<String>::new());
}
