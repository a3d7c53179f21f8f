//! Corpora that several processes make at once, and builds that a signal ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, SMALL};

/// Minutes of work.
const ENDLESS: [&str; 8] =
    ["corpus", "synth", "--vocab-size", "100", "--train-tokens", "1000000000", "--out", "data/big"];
/// Little work, for the folder of [`ENDLESS`].
const FEW: [&str; 8] =
    ["corpus", "synth", "--vocab-size", "100", "--train-tokens", "1000", "--out", "data/big"];

fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
    command.current_dir(project.path("")).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Names in `data`, hidden ones too.
fn in_data(project: &Project) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(project.path("data")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until a build holds its lock and writes.
fn wait_until_building(project: &Project) {
    let started = Instant::now();
    while !project.path("data/.big.lexmax.tmp/corpus").exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "no build began");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(process: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &process.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Reads what a build says until it waits for another one; gives the text so far.
fn read_until_waiting(process: &mut Child) -> String {
    let mut err = String::new();
    let mut lines = BufReader::new(process.stderr.as_mut().unwrap());
    while !err.contains("another process is making it") {
        assert!(lines.read_line(&mut err).unwrap() > 0, "it never waited: {err}");
    }
    err
}

fn interrupted_by(name: &str, status: i32) {
    let project = Project::new(SMALL);
    let build = start(&project, &ENDLESS);
    wait_until_building(&project);
    signal(&build, name);
    let output = build.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{err}");
    assert!(err.contains("interrupted; nothing is left of the corpus"), "{err}");
    assert_eq!(in_data(&project), [""; 0]);
}

#[test]
fn sigterm_ends_a_build_and_leaves_nothing() {
    interrupted_by("TERM", 143);
}

#[test]
fn ctrl_c_ends_a_build_and_leaves_nothing() {
    interrupted_by("INT", 130);
}

#[test]
fn build_that_was_killed_does_not_hinder_the_next() {
    let project = Project::new(SMALL);
    let mut build = start(&project, &ENDLESS);
    wait_until_building(&project);
    signal(&build, "KILL");
    build.wait().unwrap();
    assert_eq!(in_data(&project), [".big.lexmax.tmp"]);
    project.lexmax(&FEW).good();
    assert_eq!(in_data(&project), ["big"]);
}

#[test]
fn build_that_waits_goes_on_when_the_first_is_killed() {
    let project = Project::new(SMALL);
    let mut first = start(&project, &ENDLESS);
    wait_until_building(&project);
    let mut second = start(&project, &FEW);
    read_until_waiting(&mut second);
    signal(&first, "KILL");
    first.wait().unwrap();
    let output = second.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert_eq!(in_data(&project), ["big"]);
}

#[test]
fn build_that_waits_can_be_ended() {
    let project = Project::new(SMALL);
    let mut first = start(&project, &ENDLESS);
    wait_until_building(&project);
    let mut second = start(&project, &FEW);
    read_until_waiting(&mut second);
    signal(&second, "TERM");
    let output = second.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{err}");
    assert!(project.path("data/.big.lexmax.tmp/corpus").exists(), "the first build lost its folder");
    signal(&first, "TERM");
    first.wait().unwrap();
}

#[test]
fn experiments_that_start_together_share_one_corpus() {
    let project = Project::new(&SMALL.replace("train_tokens = 4000", "train_tokens = 400000"));
    let runs: Vec<Child> = ["a", "b", "c"]
        .iter()
        .map(|results| start(&project, &["run", "experiments/small.toml", "--results", results, "--dry-run"]))
        .collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("400000 / 400 / 400 tokens"), "{out}{err}");
    }
    let made = in_data(&project);
    assert!(made.len() == 1 && made[0].starts_with("small-"), "{made:?}");
}
