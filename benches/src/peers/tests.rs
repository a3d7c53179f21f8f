//! The comparison as a whole, on made-up lines: reading, pairing, targets, files, charts.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use lexmax_records::Environment;

use super::targets::{GROWTH, TARGETS};
use super::*;

const MIB: u64 = 1 << 20;
const CPU: &str = "Made-up AMD processor";

fn line(side: &str, layer: &str, variant: &str, task: &str, sizes: [u64; 3], ms: &[f64], mib: u64) -> Line {
    let [rows, width, classes] = sizes;
    Line {
        side: side.into(),
        layer: layer.into(),
        variant: variant.into(),
        task: task.into(),
        corpus: None,
        rows,
        width,
        classes,
        threads: 2,
        software: format!("{side} 1.0"),
        ms: ms.into(),
        extra_bytes: Some(mib * MIB),
        busy: None,
        deviation: None,
        commit: None,
        error: None,
    }
}

/// Every target of the plan with both of its lines, the other's such that lexmax takes `share` of
/// the time that the target allows.
fn planned(share: f64) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for target in TARGETS {
        let (rows, width, classes) = target.sizes;
        let sizes = [rows, width, classes];
        let other = 110.0 / target.time.on(CPU).unwrap();
        let on = |line: Line| Line { corpus: target.corpus.map(Into::into), ..line };
        let ours = on(line("lexmax", target.layer, "fused", target.task, sizes, &[110.0 * share; 7], 10));
        // Some work stands against several others.
        let (side, variant) = target.other;
        if !lines.iter().any(|line| line.same_work(&ours)) {
            lines.push(ours);
        }
        lines.push(on(line(side, target.layer, variant, target.task, sizes, &[other; 7], 1000)));
    }
    for growth in GROWTH {
        for (classes, took) in growth.classes.into_iter().zip([10.0, 10.0 * growth.time * share]) {
            lines.push(line("lexmax", growth.layer, "fused", "step", [256, 256, classes], &[took; 7], 5));
        }
    }
    lines
}

fn environment() -> Environment {
    Environment {
        cpu: CPU.into(),
        cores: 2,
        threads: 2,
        memory_bytes: Some(1 << 34),
        os: "linux x86_64".into(),
        device: "cpu".into(),
        dtype: "f32".into(),
        libtorch: "2.13.0".into(),
        products: Some("gemm".into()),
        lexmax: "0.1.0".into(),
        commit: Some("0123456789ab".into()),
    }
}

fn store(folder: &Path, lines: &[Line]) {
    let text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    std::fs::write(folder.join(LINES), text.join("\n")).unwrap();
    std::fs::write(folder.join(ENVIRONMENT), serde_json::to_vec(&environment()).unwrap()).unwrap();
}

#[test]
fn every_target_finds_its_pair_and_is_judged_by_the_medians() {
    let lines = planned(0.9);
    let found = pairs(&lines, CPU);
    let with_target = found.iter().filter(|comparison| comparison.has_target()).count();
    assert_eq!(with_target, TARGETS.len() + GROWTH.len());
    assert!(found.iter().all(|c| c.time_met() != Some(false)), "{found:#?}");
    let over = planned(1.1);
    let missed = pairs(&over, CPU).iter().filter(|c| c.time_met() == Some(false)).count();
    assert_eq!(missed, TARGETS.len() + GROWTH.len());
}

#[test]
fn memory_has_limits_of_both_kinds() {
    let mut lines = planned(0.9);
    let memory = |lines: &[Line], layer: &str, other: &str| {
        let found = pairs(lines, CPU);
        let of = |c: &&Comparison<'_>| {
            c.ours.layer == layer && c.other.variant == other && c.memory_limit.is_some()
        };
        found.iter().find(of).unwrap().memory_met()
    };
    assert_eq!(memory(&lines, "full", "products"), Some(true));
    assert_eq!(memory(&lines, "mos", "eager"), Some(true));
    for line in lines.iter_mut().filter(|line| line.side == "lexmax" && line.variant == "fused") {
        line.extra_bytes = Some(60 * MIB);
    }
    assert_eq!(memory(&lines, "full", "products"), Some(false));
    assert_eq!(memory(&lines, "mos", "eager"), Some(false));
    lines.iter_mut().for_each(|line| line.extra_bytes = None);
    assert_eq!(memory(&lines, "full", "products"), None);
}

#[test]
fn other_sizes_threads_and_tasks_are_no_pair() {
    let ours = line("lexmax", "full", "fused", "train", [8, 4, 100], &[1.0], 1);
    let mut others = vec![ours.clone(); 5];
    others.iter_mut().for_each(|other| other.side = "pytorch".into());
    others[0].rows = 16;
    others[1].task = "step".into();
    others[2].threads = 1;
    others[3].layer = "mos".into();
    others[4].corpus = Some("wikitext-2".into());
    others.push(ours);
    assert_eq!(pairs(&others, CPU), []);
}

#[test]
fn files_are_written_alike_and_stale_charts_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = planned(0.9);
    let mut failed = line("tensorflow", "sampled", "dense", "step", [1024, 512, 267_735], &[], 0);
    (failed.error, failed.extra_bytes) = (Some("no module named tensorflow".into()), None);
    lines.push(failed);
    store(folder.path(), &lines);
    let first = write_peers(folder.path()).unwrap();
    let names: Vec<_> = first.files.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["table.md", "table.csv", "time.svg", "time.png", "memory.svg", "memory.png"]);
    let bytes = |paths: &PeerPaths| -> Vec<Vec<u8>> {
        paths.files.iter().map(|path| std::fs::read(path).unwrap()).collect()
    };
    let before = bytes(&first);
    assert_eq!(before, bytes(&write_peers(folder.path()).unwrap()));
    for words in [
        CPU,
        "commit 0123456789ab",
        "| full train, N=1,024 D=256 V=33,278 | 99.0 (99.0–99.0) | lexmax products | 100 (100–100) | 0.990 | ratio ≤ 1.1, memory ≤ 32 MiB | yes | – |",
        "itself at V=10,000",
        "PyTorch sparse",
        "24 of 24 measured targets are met",
        "no module named tensorflow",
    ] {
        assert!(first.text.contains(words), "{words} in\n{}", first.text);
    }
    let csv = std::fs::read_to_string(folder.path().join("table.csv")).unwrap();
    assert!(csv.starts_with("layer,task,corpus,rows,width,classes,threads,lexmax_repetitions,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + pairs(&lines, CPU).len());

    lines[0].commit = Some("0123456789ab".into());
    lines[1].commit = Some("ba9876543210".into());
    store(folder.path(), &lines[..2]);
    let second = write_peers(folder.path()).unwrap();
    assert!(second.text.contains("lines of several commits: 0123456789ab, ba9876543210"), "{}", second.text);
    assert_eq!(second.files.len(), 2);
    assert!(!folder.path().join("time.svg").exists() && folder.path().join("table.md").exists());
}

#[test]
fn lines_that_are_none_are_refused_by_number() {
    let good = serde_json::to_string(&planned(1.0)[0]).unwrap();
    let cases = [
        ("{}", "missing field"),
        ("so fast", "expected value"),
        (r#"{"side": "x", "speed": 3}"#, "unknown field `speed`"),
        (&good.replace("[110", "[-110").replace("[11", "[-11"), "above zero"),
        (&good.replace("\"ms\"", "\"error\": null, \"ms\"").replace(ms_of(&good), "[]"), "neither"),
    ];
    for (bad, expected) in cases {
        let text = format!("{good}\n\n{bad}\n");
        let error = read(Path::new("lines.jsonl"), &text).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("lines.jsonl, line 3") && error.contains(expected), "{error}");
    }
    assert_eq!(read(Path::new("lines.jsonl"), &good).unwrap(), planned(1.0)[..1]);
    let missing = format!("{:#}", write_peers(tempfile::tempdir().unwrap().path()).unwrap_err());
    assert!(missing.contains("read") && missing.contains(LINES), "{missing}");
}

fn ms_of(line: &str) -> &str {
    let from = line.find("\"ms\":").unwrap() + 5;
    &line[from..from + line[from..].find(']').unwrap() + 1]
}

#[test]
fn chart_has_one_line_for_each_layer_and_side() {
    let layers = [
        ("lexmax", "full", "fused"),
        ("pytorch", "full", "eager"),
        ("lexmax", "adaptive", "fused"),
        ("pytorch", "adaptive", "module"),
        ("lexmax", "sampled", "fused"),
        ("pytorch", "sampled", "sparse"),
        ("lexmax", "sampled-unique", "fused"),
        ("lexmax", "huffman", "fused"),
    ];
    let grid = |layers: &[(&str, &str, &str)]| -> Vec<Line> {
        let mut lines = Vec::new();
        for (i, (side, layer, variant)) in layers.iter().enumerate() {
            for classes in [10_000, 33_278, 100_000, 267_735, 1_000_000] {
                let took = classes as f64 * 1e-3 * (i + 1) as f64;
                let sizes = [256, 256, classes];
                lines.push(line(
                    side,
                    layer,
                    variant,
                    "step",
                    sizes,
                    &[took; 7],
                    classes * i as u64 / 10_000,
                ));
            }
        }
        lines
    };
    let all = grid(&layers);
    let sizes = chart::sizes(&all).unwrap();
    let series = chart::series(&all, sizes, &Line::median);
    assert_eq!((sizes, series.len()), ((256, 256), layers.len()));
    assert_eq!((series[1].name.as_str(), series[1].family.as_str()), ("full, PyTorch eager", "full"));
    assert_eq!(series[1].points[4], (1e6, 2000.0));
    assert_eq!(series[7].family, "hierarchical");
    assert!(chart::time(&all).is_some() && chart::memory(&grid(&layers[1..2])).is_some());
    // A single size makes no line, and lines of other sizes are left out.
    let mut one = vec![grid(&layers)[0].clone()];
    assert!(chart::time(&one).is_none());
    one.push(line("lexmax", "full", "fused", "step", [1024, 256, 33_278], &[1.0], 1));
    assert!(chart::time(&one).is_none());
}
