//! The binary `compare` from outside, on tiny sizes: every layer and task gives a line that the
//! report reads.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use lexmax_benches::peers;

/// Exit status, standard output and standard error.
fn compare(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_compare")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn run(layer: &str, variant: &str, task: &str) -> (bool, String, String) {
    let sizes = ["--rows", "16", "--width", "8", "--classes", "12000", "--threads", "1", "--seconds", "0.01"];
    compare(&[&["run", "--layer", layer, "--variant", variant, "--task", task], &sizes[..]].concat())
}

#[test]
fn every_case_gives_a_line_and_the_lines_a_report() {
    let mut text = String::new();
    for (layer, task) in [
        ("full", "train"),
        ("adaptive", "train"),
        ("sampled", "step"),
        ("huffman", "step"),
        ("mos", "train"),
        ("full", "evaluate"),
        ("full", "top-10"),
    ] {
        let products = (layer == "full").then_some("products");
        for variant in ["fused", "reference"].into_iter().chain(products) {
            let (well, out, error) = run(layer, variant, task);
            assert!(well, "{layer} {variant} {task}: {error}");
            text.push_str(&out);
        }
    }
    let lines = peers::read("lines".as_ref(), &text).unwrap();
    assert_eq!(lines.len(), 7 * 2 + 3);
    for line in &lines {
        assert_eq!((line.side.as_str(), line.rows, line.classes, line.threads), ("lexmax", 16, 12_000, 1));
        assert!(!line.ms.is_empty() && line.deviation.is_some_and(|off| off < 1e-3), "{line:?}");
        assert!(line.software.contains("libtorch"), "{line:?}");
    }
    assert_eq!(peers::pairs(&lines, "an AMD processor").len(), 7 + 3);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(peers::LINES), &text).unwrap();
    let environment =
        serde_json::to_string(&lexmax_lab::machine::environment(None, 1, "cpu", "f32")).unwrap();
    std::fs::write(folder.path().join(peers::ENVIRONMENT), environment).unwrap();
    let (well, table, error) = compare(&["report", folder.path().to_str().unwrap()]);
    assert!(well, "{error}");
    assert!(table.contains("| adaptive train, N=16 D=8 V=12,000 |"), "{table}");
    assert_eq!(table, std::fs::read_to_string(folder.path().join("table.md")).unwrap());
}

#[test]
fn the_plan_is_printed() {
    let (well, all, _) = compare(&["plan"]);
    assert!(well);
    let (well, few, _) = compare(&["plan", "--quick"]);
    assert!(well);
    assert!((20..all.lines().count()).contains(&few.lines().count()), "{few}");
    let case: serde_json::Value = serde_json::from_str(few.lines().next().unwrap()).unwrap();
    for key in ["group", "side", "layer", "variant", "task", "rows", "width", "classes", "seconds"] {
        assert!(case.get(key).is_some(), "{key} in {case}");
    }
}

#[test]
fn case_that_cannot_be_timed_is_refused() {
    let (well, _, error) = run("mos", "products", "train");
    assert!(!well && error.contains("--variant products") && error.contains("mos train"), "{error}");
    let (well, _, error) = run("full", "eager", "train");
    assert!(!well && error.contains("eager") && error.contains("fused"), "{error}");
    let (well, _, error) = compare(&["report", "no-such-folder"]);
    assert!(!well && error.contains("no-such-folder"), "{error}");
}
