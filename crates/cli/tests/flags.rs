//! One test for each flag, on what can be seen of it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL, read_records};

/// Trains the full softmax with one seed.
const RUN: [&str; 6] = ["run", "experiments/small.toml", "--only", "full", "--set", "training.seeds=[1]"];

/// A project with 100 lines of two words and a rare one, and what `corpus build` prints and writes
/// of it.
struct Text(Project);

impl Text {
    fn new() -> Self {
        let project = Project::new(SMALL);
        project.write("text.txt", &"b a a\n".repeat(99).replacen('b', "rare", 1));
        project.write("held-out.txt", "a b\n");
        Self(project)
    }

    fn build(&self, flags: &[&str]) -> (String, String) {
        let answer = self
            .0
            .lexmax(&[&["corpus", "build", "--train", "text.txt"], flags, &["--out", "data/x"]].concat());
        let shown = answer.good().out();
        let info = std::fs::read_to_string(self.0.path("data/x/corpus.toml")).unwrap();
        std::fs::remove_dir_all(self.0.path("data/x")).unwrap();
        (shown, info)
    }

    fn build_splits(&self, flags: &[&str]) -> (String, String) {
        self.build(&[&["--valid", "held-out.txt", "--test", "held-out.txt"], flags].concat())
    }
}

/// The numbers of a row of the table.
fn row(shown: &str, title: &str) -> Vec<String> {
    let line = shown.lines().find(|line| line.starts_with(title)).unwrap();
    line[title.len()..].split_whitespace().map(str::to_owned).collect()
}

#[test]
fn results_is_where_the_records_go() {
    let project = Project::new(SMALL);
    let answer = project.lexmax(&[&RUN[..], &["--results", "else/where"]].concat()).good();
    assert!(answer.out().contains("records in else/where"), "{}", answer.out());
    assert_eq!(read_records(&project.path("else/where/runs")).len(), 1);
    assert!(!project.path("results").exists());
}

#[test]
fn threads_take_the_place_of_the_files() {
    let project = Project::new(SMALL);
    project.lexmax(&[&RUN[..], &["--threads", "2"]].concat()).good();
    let record = &project.records()[0];
    assert_eq!(
        (&record["environment"]["threads"], &record["config"]["training"]["threads"]),
        (&2.into(), &2.into())
    );
}

#[test]
fn reference_and_tolerance_shape_the_report() {
    let project = Project::new(SMALL);
    project.lexmax(&["run", "experiments/small.toml"]).good();
    let points = |flags: &[&str]| {
        project.lexmax(&[&["report", "results/small"], flags].concat()).good();
        std::fs::read_to_string(project.path("results/small/report/operating_points.md")).unwrap()
    };
    let usual = points(&[]);
    assert!(usual.contains("perplexity of full") && usual.contains("| 5.0 % |"), "{usual}");
    let other = points(&["--reference", "adaptive", "--tolerance", "3", "--tolerance", "30"]);
    assert!(other.contains("perplexity of adaptive"), "{other}");
    assert!(
        other.contains("| 3.0 % |") && other.contains("| 30 % |") && !other.contains("| 5.0 % |"),
        "{other}"
    );
}

#[test]
fn ratio_is_valid_then_test() {
    let (shown, _) = Text::new().build(&["--ratio", "0.1,0.3", "--block-lines", "1"]);
    assert_eq!(row(&shown, "lines"), ["59", "10", "30"]);
}

#[test]
fn block_lines_stay_together_and_need_a_ratio() {
    let text = Text::new();
    let (shown, info) = text.build(&["--ratio", "0.2,0.2", "--block-lines", "20"]);
    assert!(info.contains("block_lines = 20") && row(&shown, "lines")[1] == "20", "{shown}{info}");
    let build = ["corpus", "build", "--train", "text.txt", "--out", "data/x", "--block-lines", "20"];
    let given = ["--valid", "held-out.txt", "--test", "held-out.txt"];
    let refused = text.0.lexmax(&[&build[..], &given].concat()).refused();
    assert!(refused.contains("--block-lines without --ratio; expected --ratio VALID,TEST"), "{refused}");
    // A hundred lines a block where the flag is absent: one block here, and none is left for valid.
    let usual = ["corpus", "build", "--train", "text.txt", "--out", "data/x", "--ratio", "0.2,0.2"];
    let refused = text.0.lexmax(&usual).refused();
    assert!(refused.contains("in blocks of 100 lines"), "{refused}");
}

#[test]
fn min_count_and_max_vocab_turn_rare_words_into_unk() {
    let text = Text::new();
    let unk = ["--unk", "<unk>"];
    assert!(text.build_splits(&unk).0.contains("vocabulary 3;"));
    let (shown, info) = text.build_splits(&[&unk[..], &["--min-count", "2"]].concat());
    assert!(shown.contains("vocabulary 3;") && info.contains("min_count = 2"), "{shown}{info}");
    assert_eq!(row(&shown, "unknown-word tokens"), ["1", "0", "0"]);
    let (shown, info) = text.build_splits(&[&unk[..], &["--max-vocab", "2"]].concat());
    assert!(shown.contains("vocabulary 2;") && info.contains("max_vocab = 2"), "{shown}{info}");
    assert_eq!(row(&shown, "unknown-word tokens"), ["99", "1", "1"]);
}

#[test]
fn tokenizer_splits_words_or_characters() {
    let text = Text::new();
    assert_eq!(row(&text.build_splits(&[]).0, "tokens"), ["297", "2", "2"]);
    let (shown, info) = text.build_splits(&["--tokenizer", "characters"]);
    assert_eq!(row(&shown, "tokens"), ["498", "3", "3"]);
    assert!(info.contains("kind = \"characters\""), "{info}");
}

#[test]
fn name_is_that_of_the_folder_or_the_given_one() {
    let text = Text::new();
    assert!(text.build_splits(&[]).0.starts_with("x  "));
    assert!(text.build_splits(&["--name", "a corpus"]).0.starts_with("a corpus  "));
    let build =
        ["corpus", "build", "--train", "text.txt", "--ratio", "0.1,0.1", "--out", "data/x", "--name", ""];
    let refused = text.0.lexmax(&build).refused();
    assert!(refused.contains("name: given \"\"; expected a name that is not empty"), "{refused}");
}

#[test]
fn help_tells_defaults() {
    let project = Project::new(SMALL);
    let synth = project.lexmax(&["corpus", "synth", "--help"]).good().out();
    for default in ["[default: 20000]", "[default: 16]", "[default: 2.7]", "[default: 1500000]", "0.25"] {
        assert!(synth.contains(default), "{default}: {synth}");
    }
    let report = project.lexmax(&["report", "--help"]).good().out();
    assert!(report.contains("[default: 1 2 5]"), "{report}");
}
