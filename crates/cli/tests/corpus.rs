//! `lexmax corpus`: what it makes, and what it refuses.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL};

#[test]
fn a_corpus_is_built_shown_and_trained_on() {
    let project = Project::new(SMALL);
    let text = "the cat sat on the mat\nthe dog sat\n".repeat(60);
    for split in ["train", "valid", "test"] {
        project.write(&format!("{split}.txt"), &text);
    }
    let build = ["corpus", "build", "--train", "train.txt", "--valid", "valid.txt", "--test", "test.txt"];
    let built =
        project.lexmax(&[&build[..], &["--eos", "<eos>", "--out", "data/mine"]].concat()).good().out();
    let shown = project.lexmax(&["corpus", "show", "data/mine"]).good().out();
    assert_eq!(built, shown);
    assert!(shown.contains("660") && shown.contains("vocabulary 7"), "{shown}");
    let set = ["--set", "corpus={path=\"data/mine\"}", "--set", "outputs.adaptive.cutoffs=[2]"];
    let run = [&["run", "experiments/small.toml", "--only", "adaptive"], &set[..]].concat();
    assert!(project.lexmax(&run).good().out().contains("2 finished"));
    // The same from the experiment file, which builds the corpus itself.
    let spec = "corpus={text={train=\"train.txt\",valid=\"valid.txt\",test=\"test.txt\",eos=\"<eos>\"}}";
    let run = ["run", "experiments/small.toml", "--only", "full", "--set", spec];
    assert!(project.lexmax(&run).good().out().contains("2 finished"));
    assert!(project.records().iter().any(|record| record["corpus"]["train_tokens"] == 660));
    // A source that changed is not passed over, be it as long as it was and as old.
    let file = project.path("train.txt");
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    for changed in ["another text\n", &text.replace("cat", "cow")] {
        project.write("train.txt", changed);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        let refused = project.lexmax(&run).refused();
        assert!(refused.contains("train.txt") && refused.contains("remove that folder"), "{refused}");
    }
    project.write("train.txt", &text);
    assert!(project.lexmax(&run).good().out().contains("2 finished before"));
    std::fs::remove_file(&file).unwrap();
    project.lexmax(&run).good();
}

#[test]
fn a_synthetic_language_follows_its_options() {
    let project = Project::new(SMALL);
    let options =
        ["corpus", "synth", "--vocab-size", "50", "--classes", "3", "--train-tokens", "2000", "--seed", "9"];
    let more = ["--valid-tokens", "100", "--test-tokens", "100", "--order", "1"];
    let shown = project.lexmax(&[&options[..], &more, &["--out", "a"]].concat()).good().out();
    assert!(shown.contains("vocabulary 50") && shown.contains("2,000") && shown.contains("true"), "{shown}");
    let same = project.lexmax(&[&options[..], &more, &["--out", "b"]].concat()).good().out();
    assert_eq!(shown.lines().nth(1), same.lines().nth(1));
    let flat =
        project.lexmax(&[&options[..], &more, &["--exponent", "0", "--out", "c"]].concat()).good().out();
    assert_ne!(shown.lines().nth(2), flat.lines().nth(2));
    let few =
        ["corpus", "synth", "--vocab-size", "15", "--classes", "3", "--train-tokens", "2000", "--out", "few"];
    let few = project.lexmax(&few).good().out();
    assert!(few.contains("(ranks 10 to 15)"), "{few}");
}

#[test]
fn bad_text_is_refused_with_what_and_where() {
    let project = Project::new(SMALL);
    std::fs::write(project.path("bad.txt"), b"fine\nnot \xff fine\n").unwrap();
    project.write("empty.txt", "");
    project.write("good.txt", "a b c\n");
    std::fs::write(project.path("cut.txt.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75]).unwrap();
    let build = |train: &str, more: &[&str]| {
        let base = ["corpus", "build", "--train", train, "--out", "data/x"];
        project.lexmax(&[&base[..], more].concat()).refused()
    };
    let splits = ["--valid", "good.txt", "--test", "good.txt"];
    let text = build("bad.txt", &splits);
    assert!(text.contains("bad.txt line 2") && text.contains("invalid UTF-8"), "{text}");
    let text = build("empty.txt", &splits);
    assert!(text.contains("empty corpus") && text.contains("empty.txt"), "{text}");
    let text = build("cut.txt.gz", &splits);
    assert!(text.contains("cut.txt.gz") && text.contains("truncated or damaged"), "{text}");
    let text = build("good.txt", &["--valid", "empty.txt", "--test", "good.txt"]);
    assert!(text.contains("valid split is empty") && text.contains("empty.txt"), "{text}");
    let text = build("good.txt", &["--ratio", "0,0"]);
    assert!(text.contains("ratio: given valid 0 + test 0; expected shares above 0"), "{text}");
    let text = build("none.txt", &splits);
    assert!(text.contains("none.txt"), "{text}");
    let text = build("good.txt", &[]);
    assert!(text.contains("--ratio"), "{text}");
    assert!(!project.path("data/x").exists());
}
