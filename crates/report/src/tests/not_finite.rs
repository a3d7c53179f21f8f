//! A finished run whose loss is infinite or not a number, and a reference that is missing: no
//! verdict, no interval, no operating point comes of it, and every page says why.

use lexmax_records::{Band, BandedNll, RunRecord};

use super::*;
use crate::charts::tests::{assert_legible, texts};

/// Seeds 1 and 2 of the full softmax and of NCE; the named run has these nats, over all and in
/// every band.
fn records(output: &str, seed: u64, nats: f64) -> Vec<RunRecord> {
    let mut records: Vec<_> =
        [1, 2].into_iter().flat_map(|seed| [run(OUTPUTS[0], seed), run(OUTPUTS[5], seed)]).collect();
    let broken =
        records.iter_mut().find(|record| record.run.name == output && record.run.seed == seed).unwrap();
    let result = broken.result_mut().unwrap();
    let bands = result.test.bands().iter().map(|band| Band { nats, ..band.clone() });
    result.test = BandedNll::from_exact(bands.collect());
    records
}

fn row<'a>(markdown: &'a str, output: &str) -> Vec<&'a str> {
    let row = markdown.lines().find(|line| line.contains(&format!("{output} |"))).unwrap();
    row.split(" | ").collect()
}

#[test]
fn an_infinite_loss_gives_no_interval_and_no_verdict() {
    let infinite = summary(records("nce S=1024", 2, f64::INFINITY));
    let markdown = crate::markdown::table(&infinite);
    let cells = row(&markdown, "nce S=1024");
    assert_eq!(
        [cells[4], cells[6], cells[7]],
        ["∞", "+∞ %", "not finite on 1 of 2 seeds: no verdict"],
        "{markdown}"
    );
    assert!(!markdown.contains("not a number"), "{markdown}");
    let csv = String::from_utf8(crate::tables::csv("x", crate::tables::outputs(&infinite)).unwrap()).unwrap();
    let line = csv.lines().find(|line| line.starts_with("nce S=1024,")).unwrap();
    assert!(line.starts_with("nce S=1024,sampled,2,0,inf,,inf,,") && !line.contains("NaN"), "{line}");
    let nan = crate::markdown::table(&summary(records("nce S=1024", 2, f64::NAN)));
    let cells = row(&nan, "nce S=1024");
    assert_eq!(
        [cells[4], cells[6], cells[7]],
        ["not a number", "not a number", "not finite on 1 of 2 seeds: no verdict"]
    );
}

#[test]
fn nothing_is_better_than_an_infinite_reference() {
    let summary = summary(records("full", 1, f64::INFINITY));
    assert_eq!(summary.operating_points, []);
    let markdown = crate::markdown::table(&summary);
    assert_eq!(row(&markdown, "nce S=1024")[6..8], ["–", "reference not finite on 1 of 2 seeds: no verdict"]);
    let why = "The test perplexity of the reference full is not finite, so there is nothing to compare to.";
    assert!(crate::markdown::operating_points(&summary).contains(why));
    assert_eq!(crate::html::page(&summary, &[], "x").matches(why).count(), 2);
}

#[test]
fn charts_name_what_they_cannot_draw() {
    let charts = crate::charts::all(&summary(records("nce S=1024", 2, f64::INFINITY)));
    for file in ["pareto", "bands"] {
        let chart = charts.iter().find(|chart| chart.file == file).unwrap();
        assert_legible(chart);
        let told = texts(&chart.drawing).into_iter().any(|(text, _)| text.contains("not finite: nce S=1024"));
        assert!(told, "{file}");
    }
}

#[test]
fn a_reference_that_failed_is_named() {
    let records = vec![run(OUTPUTS[0], 1), broken(run(OUTPUTS[7], 1), 3)];
    let options = ReportOptions { reference: Some("huffman".into()), ..ReportOptions::default() };
    let summary = Summary::new(select(records), &options).unwrap();
    let why = "No run of the reference huffman finished, so there is nothing to compare to.";
    assert!(crate::markdown::operating_points(&summary).contains(why));
    assert_eq!(crate::html::page(&summary, &[], "x").matches(why).count(), 2);
}
