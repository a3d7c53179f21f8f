//! Data sets of labelled texts from the command line: made, shown, their baselines scored.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL};

/// Three classes; the second test row stands in train.
fn project() -> Project {
    let project = Project::new(SMALL);
    let train = "weather\tis it cold\nweather\tis it warm\nmusic\tplay it loud\nother\tbuy bread\n";
    std::fs::write(project.path("train.tsv"), train).unwrap();
    std::fs::write(project.path("test.tsv"), "weather\tcold is it\nmusic\tplay it loud\n").unwrap();
    std::fs::write(project.path("intents.toml"), "train = \"train.tsv\"\ntest = \"test.tsv\"\n").unwrap();
    project
}

#[test]
fn data_set_is_made_shown_and_scored() {
    let project = project();
    let made = project.lexmax(&["data", "build", "intents.toml", "--out", "data/intents"]).good().out();
    assert!(made.contains("3 classes") && made.contains("test: 1 rows repeat a training row"), "{made}");
    assert_eq!(project.lexmax(&["data", "show", "data/intents"]).good().out(), made);
    let scored = project.lexmax(&["data", "baseline", "data/intents"]).good().out();
    let accuracies: Vec<&str> = scored.lines().filter(|line| line.contains("top-1 accuracy")).collect();
    // The most popular class is right for one row of two; words and pairs tell both.
    assert_eq!(accuracies.len(), 3, "{scored}");
    for (line, value) in accuracies.iter().zip(["0.5000", "1.0000", "1.0000"]) {
        assert!(line.ends_with(value), "{scored}");
    }
}

#[test]
fn mistakes_on_data_sets_are_named() {
    let project = project();
    project.lexmax(&["data", "build", "intents.toml", "--out", "data/intents"]).good();
    for (args, words) in [
        (&["data", "build", "none.toml", "--out", "x"] as &[&str], "cannot read none.toml"),
        (&["data", "show", "nowhere"], "dataset.toml of a prepared data set"),
        (
            &["data", "baseline", "data/intents", "--split", "valid"],
            "the valid part of data/intents has no examples",
        ),
        (&["data", "baseline", "data/intents", "--smoothing", "0"], "smoothing"),
    ] {
        let text = project.lexmax(args).refused();
        assert!(text.contains(words), "{args:?}: {text}");
    }
    std::fs::write(project.path("bad.toml"), "train = \"train.tsv\"\nlower = true\n").unwrap();
    let text = project.lexmax(&["data", "build", "bad.toml", "--out", "x"]).refused();
    assert!(text.contains("bad.toml") && text.contains("lower"), "{text}");
}

#[test]
fn measures_are_listed_with_their_direction() {
    let listed = Project::new(SMALL).lexmax(&["measures", "--formulas"]).good().out();
    for line in ["ndcg@{k}", "lower is better", "arXiv"] {
        assert!(listed.contains(line), "{listed}");
    }
}
