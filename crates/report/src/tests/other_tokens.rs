//! Outputs that were scored on other test tokens: named in a note, and never ranked, compared or
//! drawn together.

use lexmax_records::{Band, BandedNll, RunRecord};

use super::*;
use crate::charts::tests::texts;

/// A seed of the full softmax, of an adaptive softmax that is better and faster, and of a mixture
/// that is worse and slower.
fn three() -> Vec<RunRecord> {
    vec![
        run(("full", "full", 3_000.0, 5.1, 6.7), 1),
        run(("adaptive", "adaptive", 9_000.0, 5.0, 2.9), 1),
        run(("mos", "mixture", 900.0, 5.2, 6.9), 1),
    ]
}

/// Scores a run on so many tokens, cut into so many streams.
fn score(record: &mut RunRecord, tokens: u64, streams: u64) {
    let result = record.result_mut().unwrap();
    let nats = result.test.nll() * tokens as f64;
    result.test = BandedNll::from_exact(vec![Band { from: 0, to: 33_278, nats, tokens }]);
    result.eval_batch = streams;
}

fn standing(summary: &Summary, name: &str) -> (Standing, bool) {
    let output = summary.outputs.iter().find(|output| output.name == name).unwrap();
    (output.standing, output.on_front)
}

/// Holds an output to be outside of every comparison with the reference, in the tables and in the
/// charts.
fn assert_apart(summary: &Summary, name: &str) {
    assert_eq!(standing(summary, name), (Standing::OtherTokens, false));
    for point in &summary.operating_points {
        assert_ne!(summary.outputs[point.output].name, name);
    }
    let markdown = crate::markdown::table(summary);
    let row = markdown.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
    assert!(row.contains("| – | other test tokens: no verdict |"), "{row}");
    for file in ["pareto", "bands"] {
        let charts = crate::charts::all(summary);
        let chart = charts.iter().find(|chart| chart.file == file).unwrap();
        let words: Vec<&str> = texts(&chart.drawing).into_iter().map(|(text, _)| text).collect();
        assert!(!words.contains(&name), "{file} draws {name}");
        let note = words.iter().find(|words| words.starts_with("Not drawn, scored on other tokens")).unwrap();
        assert!(note.contains(name), "{file}: {note}");
    }
}

fn notes_of(summary: &Summary) -> String {
    summary.notes.join("\n")
}

#[test]
fn other_numbers_of_test_tokens_are_named_and_not_ranked() {
    // T = 400 in B streams score B (T / B - 1) tokens; the mixture has its first 40 tokens only.
    let mut records = three();
    score(&mut records[0], 10 * (400 / 10 - 1), 10);
    score(&mut records[1], 400 - 1, 1);
    score(&mut records[2], 10 * (40 / 10 - 1), 10);
    let summary = summary(records);
    let notes = notes_of(&summary);
    assert!(notes.contains("3 different numbers of test tokens (30, 390, 399)"), "{notes}");
    assert!(notes.contains("in 1 stream: adaptive") && notes.contains("in 10 streams: full"), "{notes}");
    assert_apart(&summary, "adaptive");
    assert_apart(&summary, "mos");
    assert_eq!(standing(&summary, "full"), (Standing::Reference, true));
    // The reference is alone with its tokens, so it comes first although another perplexity is
    // lower.
    assert_eq!(summary.outputs[0].name, "full");
    assert!(summary.operating_points.iter().all(|point| summary.outputs[point.output].name == "full"));
    let markdown = crate::markdown::table(&summary);
    assert_eq!(markdown.lines().filter(|line| line.starts_with("> ")).count(), 1, "{markdown}");
}

#[test]
fn the_same_number_of_tokens_in_other_streams_is_another_set() {
    // 11 tokens in one stream and 12 in two: 1 (11 - 1) = 2 (6 - 1) = 10 are scored.
    let mut records = three();
    score(&mut records[0], 10, 1);
    score(&mut records[1], 10, 2);
    score(&mut records[2], 10, 1);
    let summary = summary(records);
    let notes = notes_of(&summary);
    assert!(notes.contains("2 different sets of test tokens"), "{notes}");
    assert_apart(&summary, "adaptive");
    assert!(matches!(standing(&summary, "mos"), (Standing::Compared { .. }, false)));
}

#[test]
fn an_ignored_class_and_another_corpus_are_other_sets() {
    let mut records = three();
    let result = records[1].result_mut().unwrap();
    (result.ignored_class, result.ignored_test_tokens) = (Some(0), 17);
    records[2].run.corpus.hash = "another".into();
    let summary = summary(records);
    let notes = notes_of(&summary);
    assert!(notes.contains("17 test tokens of the ignored class 0 are not in the perplexity of adaptive."));
    assert!(notes.contains("3 different sets") && notes.contains("class 0 ignored: adaptive"), "{notes}");
    assert_apart(&summary, "adaptive");
    assert_apart(&summary, "mos");
}

#[test]
fn seeds_on_different_tokens_are_compared_with_nothing() {
    let mut records = three();
    let mut second = run(("mos", "mixture", 900.0, 5.2, 6.9), 2);
    score(&mut second, 30, 10);
    records.push(second);
    let summary = summary(records);
    let notes = notes_of(&summary);
    assert!(notes.contains("The seeds of mos were scored on different test tokens"), "{notes}");
    assert_apart(&summary, "mos");
    assert!(matches!(standing(&summary, "adaptive"), (Standing::Compared { .. }, true)));
}

#[test]
fn curves_of_other_validation_tokens_are_not_drawn_together() {
    let mut records = three();
    records[1].curve.iter_mut().for_each(|point| point.valid_tokens = 999);
    let charts = crate::charts::all(&summary(records));
    let words: Vec<&str> = texts(&charts[0].drawing).into_iter().map(|(text, _)| text).collect();
    assert_eq!(charts[0].file, "learning_curves");
    assert!(words.contains(&"mos") && !words.contains(&"adaptive"), "{words:?}");
    assert!(words.contains(&"Not drawn, scored on other tokens: adaptive."), "{words:?}");
}

#[test]
fn one_set_of_tokens_needs_no_note() {
    let summary = summary(three());
    assert_eq!(summary.notes, Vec::<String>::new());
    assert!(matches!(standing(&summary, "adaptive"), (Standing::Compared { .. }, true)));
}
