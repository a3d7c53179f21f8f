//! The training loss on the curve and the tokens that are scored, against values computed by hand.
//!
//! The text has windows of four targets, `a a a a` and `b c d b` in turn, eight in all: a 16, b 8,
//! c 4, d 4 times. With the first word its counts are 17, 8, 4, 4. Parameters start at nothing and
//! learn nothing, so all logits are zero.
#![allow(clippy::unwrap_used)]

mod common;

use common::Project;

const EXPERIMENT: &str = r#"
[corpus.text]
train = "train.txt"
valid = "held-out.txt"
test = "held-out.txt"

[backbone]
kind = "ngram"
context = 2
embedding = 4
hidden = 4

[training]
batch = 1
bptt = 4
optimizer = { kind = "sgd" }
learning_rate = 1e-12
init_range = 1e-6
eval_batch = 1
budget = { epochs = 1 }
eval_points = 1
seeds = [1]
threads = 1
"#;

/// Name, section, training loss on the curve, test tokens scored and left out.
const CASES: [(&str, &str, f64, u64, u64); 18] = [
    // ln 4
    ("ignored", "layer = \"full\"\nloss = { ignore_index = 0 }", 1.386_294, 3, 1),
    ("ignored sum", "layer = \"full\"\nloss = { ignore_index = 0, reduction = \"sum\" }", 1.386_294, 3, 1),
    ("ignored outside", "layer = \"full\"\nloss = { ignore_index = -100 }", 1.386_294, 4, 0),
    ("sum", "layer = \"full\"\nloss = { reduction = \"sum\" }", 1.386_294, 4, 0),
    // Mean of -ln(count / 33) over the 16 targets that count.
    ("adjusted", "layer = \"full\"\nlogit_adjustment = 1.0\nloss = { ignore_index = 0 }", 1.763_640, 3, 1),
    // Sum of w l over sum of w.
    (
        "weighted",
        "layer = \"full\"\nlogit_adjustment = 1.0\nloss = { class_weights = [1.0, 9.0, 0.5, 0.5] }",
        1.316_112,
        4,
        0,
    ),
    // The same without class b: (4 x 0.5 + 4 x 0.25) ln(33/4) + 16 ln(33/17) over 16 + 2 + 1.
    (
        "weighted ignored",
        "layer = \"full\"\nlogit_adjustment = 1.0\nloss = { class_weights = [1.0, 9.0, 0.5, 0.25], ignore_index = 1 }",
        0.891_755,
        3,
        1,
    ),
    // 0.9 w l + 0.1 / 4 sum_c w_c l_c, summed, over the 32 targets.
    (
        "smoothed",
        "layer = \"full\"\nlogit_adjustment = 1.0\nloss = { label_smoothing = 0.1, class_weights = [1.0, 2.0, 0.0, 4.0], reduction = \"sum\" }",
        2.184_215,
        4,
        0,
    ),
    // ln 4 + (ln 4)^2 / 2 and (3/4)^2 ln 4
    ("z-loss", "layer = \"full\"\nz_loss = 0.5", 2.347_200, 4, 0),
    ("focal", "layer = \"full\"\nfocal_gamma = 2.0", 0.779_791, 4, 0),
    // ln(1 + 2/4) + 2 ln(1 + 4/2)
    (
        "nce",
        "layer = \"sampled\"\nobjective = \"nce\"\nproposal = \"uniform\"\nsamples = 2\nbias = false",
        2.602_690,
        4,
        0,
    ),
    // 3 ln 2
    (
        "negative sampling",
        "layer = \"sampled\"\nobjective = \"negative-sampling\"\nproposal = \"uniform\"\nsamples = 2\nbias = false",
        2.079_442,
        4,
        0,
    ),
    // ln 3
    (
        "sampled softmax",
        "layer = \"sampled\"\nproposal = \"uniform\"\nsamples = 2\nbias = false\nremove_accidental_hits = false",
        1.098_612,
        4,
        0,
    ),
    // ln 4: all classes, each once.
    (
        "all classes",
        "layer = \"sampled\"\nproposal = \"uniform\"\nsamples = 4\nunique = true\nbias = false",
        1.386_294,
        4,
        0,
    ),
    // 3 ln 2
    (
        "one-vs-each",
        "layer = \"sampled\"\nobjective = \"one-vs-each\"\nproposal = \"uniform\"\nsamples = 4\nunique = true\nbias = false",
        2.079_442,
        4,
        0,
    ),
    // Path lengths 1, 2, 3, 3: 56 / 32 ln 2.
    ("huffman", "layer = \"hierarchical\"", 1.213_008, 4, 0),
    // ln 3 + 8 / 32 ln 2
    ("adaptive", "layer = \"adaptive\"\ncutoffs = [2]", 1.271_899, 4, 0),
    ("mos", "layer = \"mos\"\ncomponents = 3\nloss = { ignore_index = 0 }", 1.386_294, 3, 1),
];

#[test]
fn curves_and_scores_are_those_computed_by_hand() {
    let outputs: String = CASES
        .iter()
        .map(|(name, section, ..)| format!("\n[[outputs]]\nname = \"{name}\"\n{section}\n"))
        .collect();
    let project = Project::new(&format!("{EXPERIMENT}{outputs}"));
    let windows: Vec<&str> = (0..8).map(|window| ["a a a a", "b c d b"][window % 2]).collect();
    project.write("train.txt", &format!("a {}\n", windows.join(" ")));
    project.write("held-out.txt", "a b c d a\n");
    project.lexmax(&["run", "experiments/small.toml"]).good();
    let records = project.records();
    for (name, _, loss, scored, ignored) in CASES {
        let record = records.iter().find(|record| record["name"] == name).unwrap();
        let on_curve = record["curve"][0]["train_loss"].as_f64().unwrap();
        assert!((on_curve - loss).abs() < 5e-6, "{name}: {on_curve}, expected {loss}");
        let result = &record["result"];
        assert_eq!(result["test"]["tokens"], scored, "{name}");
        assert_eq!(result["ignored_test_tokens"], ignored, "{name}");
        assert_eq!(record["curve"][0]["valid_tokens"], scored, "{name}");
    }
}
