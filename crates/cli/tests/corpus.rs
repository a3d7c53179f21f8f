//! `lexmax corpus`: what it makes, and what it refuses.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL};

const TEXT: &str = "the cat sat on the mat\nthe dog sat\n";
/// The section of an experiment that builds the corpus of [`with_text`].
const SPEC: &str = "corpus={text={train=\"train.txt\",valid=\"valid.txt\",test=\"test.txt\",eos=\"<eos>\"}}";
const RUN: [&str; 6] = ["run", "experiments/small.toml", "--only", "full", "--set", SPEC];

/// A project with a text of 660 tokens, line ends included, for each split.
fn with_text() -> Project {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    for split in ["train", "valid", "test"] {
        project.write(&format!("{split}.txt"), &TEXT.repeat(60));
    }
    project
}

/// Builds `data/mine` of those texts.
fn build_splits(project: &Project) -> String {
    let build = ["corpus", "build", "--train", "train.txt", "--valid", "valid.txt", "--test", "test.txt"];
    project.lexmax(&[&build[..], &["--eos", "<eos>", "--out", "data/mine"]].concat()).good().out()
}

/// Message of a refused `corpus build` of one training file, which may leave nothing.
fn refusal(project: &Project, train: &str, more: &[&str]) -> String {
    let base = ["corpus", "build", "--train", train, "--out", "data/x"];
    let text = project.lexmax(&[&base[..], more].concat()).refused();
    let left: Vec<_> = std::fs::read_dir(project.path("data")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    text
}

/// Message of a refused build of a file that holds `bytes`.
fn refused_bytes(name: &str, bytes: &[u8]) -> String {
    let project = Project::new(SMALL);
    std::fs::write(project.path(name), bytes).unwrap();
    project.write("good.txt", "a b c\n");
    refusal(&project, name, &["--valid", "good.txt", "--test", "good.txt"])
}

#[test]
fn corpus_that_is_built_is_shown_alike() {
    let project = with_text();
    let built = build_splits(&project);
    assert_eq!(built, project.lexmax(&["corpus", "show", "data/mine"]).good().out());
    assert!(built.contains("660") && built.contains("vocabulary 7"), "{built}");
}

#[test]
fn corpus_that_is_built_is_trained_on() {
    let project = with_text();
    build_splits(&project);
    let set = ["--set", "corpus={path=\"data/mine\"}", "--set", "outputs.adaptive.cutoffs=[2]"];
    let run = [&["run", "experiments/small.toml", "--only", "adaptive"], &set[..]].concat();
    assert!(project.lexmax(&run).good().out().contains("1 finished"));
}

#[test]
fn experiment_builds_its_corpus_from_text() {
    let project = with_text();
    assert!(project.lexmax(&RUN).good().out().contains("1 finished"));
    assert!(project.records().iter().any(|record| record["corpus"]["train_tokens"] == 660));
}

#[test]
fn source_that_changed_is_refused_be_it_as_long_and_as_old() {
    let project = with_text();
    project.lexmax(&RUN).good();
    let file = project.path("train.txt");
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    for changed in ["another text\n", &TEXT.repeat(60).replace("cat", "cow")] {
        project.write("train.txt", changed);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        let refused = project.lexmax(&RUN).refused();
        assert!(refused.contains("train.txt") && refused.contains("remove that folder"), "{refused}");
    }
    project.write("train.txt", &TEXT.repeat(60));
    assert!(project.lexmax(&RUN).good().out().contains("1 finished before"));
}

#[test]
fn source_that_is_gone_leaves_the_corpus_in_use() {
    let project = with_text();
    project.lexmax(&RUN).good();
    std::fs::remove_file(project.path("train.txt")).unwrap();
    assert!(project.lexmax(&RUN).good().out().contains("1 finished before"));
}

#[test]
fn corpus_that_is_built_again_is_opened_or_refused() {
    let project = with_text();
    let built = build_splits(&project);
    assert_eq!(build_splits(&project), built);
    let other = ["corpus", "build", "--train", "train.txt", "--ratio", "0.1,0.1", "--block-lines", "1"];
    let refused = project.lexmax(&[&other[..], &["--out", "data/mine"]].concat()).refused();
    assert!(refused.contains("data/mine: already exists, a corpus made with other options"), "{refused}");
    assert_eq!(project.lexmax(&["corpus", "show", "data/mine"]).good().out(), built);
}

const SYNTH: [&str; 16] = [
    "corpus",
    "synth",
    "--vocab-size",
    "50",
    "--classes",
    "3",
    "--train-tokens",
    "2000",
    "--seed",
    "9",
    "--valid-tokens",
    "100",
    "--test-tokens",
    "100",
    "--order",
    "1",
];

#[test]
fn synthetic_language_has_the_sizes_asked_for() {
    let project = Project::new(SMALL);
    let shown = project.lexmax(&[&SYNTH[..], &["--out", "a"]].concat()).good().out();
    assert!(shown.contains("vocabulary 50") && shown.contains("2,000") && shown.contains("true"), "{shown}");
}

#[test]
fn synthetic_language_is_the_same_for_the_same_seed_only() {
    let project = Project::new(SMALL);
    let line = |more: &[&str], at: usize| {
        let shown = project.lexmax(&[&SYNTH[..], more].concat()).good().out();
        shown.lines().nth(at).unwrap().to_owned()
    };
    assert_eq!(line(&["--out", "a"], 1), line(&["--out", "b"], 1));
    assert_ne!(line(&["--out", "a"], 2), line(&["--exponent", "0", "--out", "c"], 2));
}

#[test]
fn zipf_fit_of_a_small_vocabulary_says_its_ranks() {
    let project = Project::new(SMALL);
    let few =
        ["corpus", "synth", "--vocab-size", "15", "--classes", "3", "--train-tokens", "2000", "--out", "few"];
    let few = project.lexmax(&few).good().out();
    assert!(few.contains("(ranks 10 to 15)"), "{few}");
}

#[test]
fn invalid_utf8_is_refused_with_file_and_line() {
    let text = refused_bytes("bad.txt", b"fine\nnot \xff fine\n");
    assert!(text.contains("bad.txt line 2") && text.contains("invalid UTF-8"), "{text}");
}

#[test]
fn nul_byte_is_refused_with_file_and_line() {
    let text = refused_bytes("wide.txt", b"a\0 \0b\0\n\0");
    assert!(text.contains("wide.txt line 1: NUL byte: UTF-16?"), "{text}");
}

#[test]
fn foreign_file_is_refused_by_name() {
    let text = refused_bytes("t.zip", b"PK\x03\x04\x14\0\0\0\0\0\xdc\x55");
    assert!(text.contains("t.zip") && text.contains("; the file starts like zip data"), "{text}");
}

#[test]
fn empty_file_is_refused_as_an_empty_corpus() {
    let text = refused_bytes("empty.txt", b"");
    assert!(text.contains("empty corpus") && text.contains("empty.txt"), "{text}");
}

#[test]
fn truncated_gzip_file_is_refused() {
    let text = refused_bytes("cut.txt.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75]);
    assert!(text.contains("cut.txt.gz") && text.contains("truncated or damaged"), "{text}");
}

#[test]
fn held_out_file_without_a_token_is_refused() {
    let project = Project::new(SMALL);
    project.write("good.txt", "a b c\n");
    project.write("empty.txt", "");
    let text = refusal(&project, "good.txt", &["--valid", "empty.txt", "--test", "good.txt"]);
    assert!(text.contains("valid split is empty") && text.contains("empty.txt"), "{text}");
}

#[test]
fn ratio_of_nothing_is_refused() {
    let project = Project::new(SMALL);
    project.write("good.txt", "a b c\n");
    let text = refusal(&project, "good.txt", &["--ratio", "0,0"]);
    assert!(text.contains("ratio: given valid 0 + test 0; expected shares above 0"), "{text}");
}

#[test]
fn missing_file_is_refused_by_name() {
    let project = Project::new(SMALL);
    project.write("good.txt", "a b c\n");
    let text = refusal(&project, "none.txt", &["--valid", "good.txt", "--test", "good.txt"]);
    assert!(text.contains("none.txt"), "{text}");
}

#[test]
fn training_file_alone_is_refused_with_both_ways_on() {
    let project = Project::new(SMALL);
    project.write("good.txt", "a b c\n");
    let text = refusal(&project, "good.txt", &[]);
    assert!(text.contains("--ratio") && text.contains("--valid"), "{text}");
}

#[test]
fn text_of_one_line_is_dealt_out_in_tokens() {
    let project = Project::new(SMALL);
    let words: Vec<String> = (0..2000).map(|word| format!("w{}", word % 7)).collect();
    project.write("text8", &words.join(" "));
    let build = ["corpus", "build", "--train", "text8", "--ratio", "0.05,0.05", "--out", "data/text8"];
    let built = project.lexmax(&build).good();
    let tokens: Vec<String> = built
        .out()
        .lines()
        .find(|line| line.starts_with("tokens"))
        .map_or(vec![], |line| line.split_whitespace().skip(1).map(str::to_owned).collect());
    assert_eq!(tokens, ["1,800", "100", "100"]);
    assert!(built.err().contains("too few lines to deal out (1)"), "{}", built.err());
}
