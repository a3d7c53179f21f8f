//! Runs that are certain to fail: rows of a dry run, and the end of a real one before any process
//! starts.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL};

const RUN: [&str; 2] = ["run", "experiments/small.toml"];

/// A dry run, which must show one row that will fail for a reason that holds all words, and a run
/// that must name them too.
fn refused(project: &Project, set: &[&str], words: &[&str]) {
    let set: Vec<&str> = set.iter().flat_map(|pair| ["--set", pair]).chain(["--only", "full"]).collect();
    let dry = project.lexmax(&[&RUN[..], &["--dry-run"], &set].concat()).good().out();
    let row =
        dry.lines().find(|line| line.contains("will fail: ")).unwrap_or_else(|| panic!("{set:?}: {dry}"));
    let text = project.lexmax(&[&RUN[..], &set].concat()).refused();
    assert!(text.contains("experiments/small.toml: output `full`: "), "{text}");
    for word in words {
        assert!(row.contains(word) && text.contains(word), "{set:?} {word}:\n{row}\n{text}");
    }
    assert!(project.records().is_empty(), "{set:?}: a run was recorded");
}

fn one_seed(text: &str) -> String {
    text.replace("seeds = [1, 2]", "seeds = [1]")
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_key() {
    let project = Project::new(&one_seed(SMALL));
    for (set, words) in [
        ("outputs.full.soft_cap=nan", ["soft_cap", "NaN"]),
        ("outputs.full.soft_cap=inf", ["soft_cap", "inf"]),
        ("outputs.full.soft_cap=-inf", ["soft_cap", "-inf"]),
        ("outputs.full.gradient_filter=nan", ["gradient_filter", "NaN"]),
        ("outputs.full.z_loss=nan", ["z_loss", "NaN"]),
        ("outputs.full.z_loss=inf", ["z_loss", "inf"]),
        ("outputs.full.temperature=nan", ["temperature", "NaN"]),
        ("outputs.full.focal_gamma=nan", ["focal_gamma", "NaN"]),
        ("outputs.full.logit_adjustment=inf", ["logit_adjustment", "inf"]),
        ("outputs.full.loss={label_smoothing=nan}", ["label_smoothing", "NaN"]),
        ("outputs.full.loss={class_weights=[1.0]}", ["class_weights", "1 numbers"]),
    ] {
        refused(&project, &[set], &words);
    }
    // JSON has no NaN: the configuration must not pass for the finished one without the key.
    project.lexmax(&[&RUN[..], &["--only", "full"]].concat()).good();
    let set = ["--only", "full", "--set", "outputs.full.soft_cap=nan"];
    let dry = project.lexmax(&[&RUN[..], &set, &["--dry-run"]].concat()).good().out();
    assert!(dry.contains("will fail: ") && dry.contains("0 runs to do"), "{dry}");
    assert!(project.lexmax(&[&RUN[..], &set].concat()).refused().contains("soft_cap is NaN"));
    let unigram = ["outputs.full.layer=sampled", "outputs.full.proposal=unigram", "outputs.full.power=nan"];
    let project = Project::new(&one_seed(SMALL));
    refused(&project, &unigram, &["power", "NaN"]);
}

#[test]
fn bf16_products_are_refused_where_a_layer_makes_none() {
    let project = Project::new(&one_seed(SMALL));
    let bf16 = "training.dtype=bf16";
    for set in [
        &["outputs.full.layer=hierarchical"] as &[&str],
        &["outputs.full.layer=hierarchical", "outputs.full.tree=two-level"],
        &["outputs.full.layer=sampled", "outputs.full.negatives=per-row"],
        &["training.compute=chunked"],
        &["training.compute=reference"],
    ] {
        refused(&project, &[&[bf16], set].concat(), &["bf16 products"]);
    }
    project.lexmax(&[&RUN[..], &["--only", "full", "--set", bf16]].concat()).good();
    assert_eq!(project.records()[0]["environment"]["dtype"], "bf16");
}

#[test]
fn numbers_of_the_training_are_refused_by_key() {
    let project = Project::new(&one_seed(SMALL));
    for (set, words) in [
        ("init_range=1e39", "`init_range` is 1e39, expected"),
        ("init_range=2e38", "`init_range` is 2e38, expected"),
        ("init_range=1e-50", "`init_range` is 1e-50, expected"),
        ("init_range=nan", "`init_range` is NaN, expected"),
        ("learning_rate=nan", "`learning_rate` is NaN, expected"),
        ("learning_rate=1e39", "`learning_rate` is 1e39, expected"),
        ("clip=nan", "`clip` is NaN, expected"),
        ("clip=inf", "`clip` is inf, expected"),
        ("budget={seconds=nan}", "`budget.seconds` is NaN, expected"),
        ("budget={seconds=inf}", "`budget.seconds` is inf, expected"),
        ("budget={tokens=0}", "`budget.tokens` is 0, expected"),
        ("eval_points=0", "`eval_points` is 0, expected"),
        ("eval_every_seconds=nan", "`eval_every_seconds` is NaN, expected"),
        ("optimizer={kind=\"sgd\",momentum=nan}", "sgd.momentum is NaN, expected"),
        ("optimizer={kind=\"adam\",weight_decay=1e39}", "`optimizer.weight_decay` is 1e39, expected"),
        ("plateau={factor=nan}", "plateau.factor is NaN, expected"),
        ("threads=1000000", "`threads` is 1000000, expected at most"),
        ("seeds=[1,1]", "`seeds` names 1 twice"),
    ] {
        let pair = format!("training.{set}");
        for dry in [&["--dry-run"] as &[&str], &[]] {
            let text = project.lexmax(&[&RUN[..], &["--set", &pair], dry].concat()).refused();
            assert!(text.contains("small.toml: [training]: ") && text.contains(words), "{pair}: {text}");
        }
    }
    for (set, words) in [
        ("backbone.dropout=nan", "`dropout` is NaN"),
        ("backbone.embedding=1000000000000000", "parameters, expected at most"),
        ("backbone.hidden=9000000000000000000", "parameters, expected at most"),
    ] {
        let text = project.lexmax(&[&RUN[..], &["--set", set]].concat()).refused();
        assert!(text.contains("[backbone]: ") && text.contains(words), "{text}");
    }
    assert!(!project.path("data").exists(), "no corpus was made for a file that is wrong");
}

/// Four outputs that the sizes or their layer rule out, beside one that runs.
const CERTAIN: &str = r#"
[[outputs]]
name = "tied"
layer = "full"
tied = true

[[outputs]]
name = "smoothed"
layer = "sampled"
loss = { label_smoothing = 0.1 }

[[outputs]]
name = "weights"
layer = "full"
loss = { class_weights = [1.0, 2.0] }

[[outputs]]
name = "rows"
layer = "full"
loss = { reduction = "none" }

[[outputs]]
name = "long batch"
layer = "full"
training = { batch = 3000 }

[[outputs]]
name = "unfiltered"
layer = "full"
gradient_filter = 1e-4
training = { compute = "reference" }

[[outputs]]
name = "many negatives"
layer = "sampled"
negatives = "per-row"
samples = 70000000
"#;

#[test]
fn certain_failures_are_known_before_the_first_run() {
    let project = Project::new(&one_seed(&format!("{SMALL}{CERTAIN}")));
    let expected = [
        ("tied", "has shape [60, 8], expected [60, 12]"),
        ("smoothed", "label_smoothing"),
        ("weights", "class_weights is 2 numbers, expected one weight for each of 60 classes"),
        ("rows", "loss.reduction"),
        ("long batch", "4000 training tokens, expected at least 6000"),
        ("unfiltered", "gradient_filter"),
        ("many negatives", "32 rows with 70000000 of their own"),
    ];
    let dry = project.lexmax(&[&RUN[..], &["--dry-run"]].concat()).good().out();
    assert_eq!(dry.lines().filter(|line| line.ends_with("waiting")).count(), 2, "{dry}");
    assert!(dry.contains("2 runs to do"), "{dry}");
    let refusal = project.lexmax(&RUN).refused();
    assert!(refusal.contains("7 outputs: no run was started"), "{refusal}");
    for (name, words) in expected {
        let row = dry.lines().find(|line| line.contains(name)).unwrap();
        assert!(row.contains("will fail: ") && row.contains(words), "{row}");
        let line = refusal.lines().find(|line| line.contains(&format!("output `{name}`: "))).unwrap();
        assert!(line.contains(words), "{line}");
    }
    assert!(project.records().is_empty() && !project.path("results/small/runs").exists());
    // Those that can run do, when they are asked for.
    let others = project.lexmax(&[&RUN[..], &["--only", "full", "--only", "adaptive"]].concat()).good();
    assert!(others.out().contains("2 finished, 0 failed"), "{}", others.out());
    let one = project.lexmax(&[&RUN[..], &["--only", "tied"]].concat()).refused();
    assert!(one.contains("experiments/small.toml: output `tied`: full: the input embedding"), "{one}");
}

#[test]
fn names_with_signs_are_reached_and_a_set_without_a_key_says_so() {
    let project = Project::new(&one_seed(SMALL).replace("name = \"full\"", "name = \"S=16\""));
    let dry = |set: &str| project.lexmax(&[&RUN[..], &["--dry-run", "--set", set]].concat());
    let (before, after) =
        (dry("training.seeds=[1]").good().out(), dry("outputs.S=16.soft_cap=30.0").good().out());
    let id = |text: &str| text.lines().find(|line| line.contains("S=16")).unwrap()[..16].to_owned();
    assert_ne!(id(&before), id(&after));
    assert!(dry("outputs.S=16.soft_cap=nan").good().out().contains("soft_cap is NaN"));
    let text = dry("outputs.adaptive={name=\"adaptive\",layer=\"mos\"}").refused();
    assert!(text.contains("expected outputs.adaptive.KEY"), "{text}");
}
