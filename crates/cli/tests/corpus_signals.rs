//! Corpora that several processes make at once, and builds that a signal ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, SMALL};

/// Minutes of work.
const ENDLESS: [&str; 8] =
    ["corpus", "synth", "--vocab-size", "100", "--train-tokens", "1000000000", "--out", "data/big"];
/// Little work, for the folder of [`ENDLESS`].
const FEW: [&str; 8] =
    ["corpus", "synth", "--vocab-size", "100", "--train-tokens", "1000", "--out", "data/big"];

/// A process that ends with its test, also where that fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // An error: it has ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

impl Process {
    /// Waits for the end: the exit status, and both outputs as text.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code(), out, err)
    }
}

fn start(project: &Project, arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
    command.current_dir(project.path("")).args(arguments);
    Process(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
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
        // Far longer than a busy machine takes.
        assert!(started.elapsed() < Duration::from_secs(1200), "no build began");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(process: &Process, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &process.0.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Reads what a build says until it waits for another one; gives the text so far.
fn read_until_waiting(process: &mut Process) -> String {
    let mut err = String::new();
    let mut lines = BufReader::new(process.0.stderr.as_mut().unwrap());
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
    let (ended, _, err) = build.end();
    assert_eq!(ended, Some(status), "{err}");
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
    build.0.wait().unwrap();
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
    first.0.wait().unwrap();
    let (ended, _, err) = second.end();
    assert_eq!(ended, Some(0), "{err}");
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
    let (ended, _, err) = second.end();
    assert_eq!(ended, Some(143), "{err}");
    assert!(project.path("data/.big.lexmax.tmp/corpus").exists(), "the first build lost its folder");
    signal(&first, "TERM");
    first.0.wait().unwrap();
}

#[test]
fn experiments_that_start_together_share_one_corpus() {
    let project = Project::new(&SMALL.replace("train_tokens = 4000", "train_tokens = 400000"));
    let runs: Vec<Process> = ["a", "b", "c"]
        .iter()
        .map(|results| start(&project, &["run", "experiments/small.toml", "--results", results, "--dry-run"]))
        .collect();
    for run in runs {
        let (ended, out, err) = run.end();
        assert!(ended == Some(0) && out.contains("400000 / 400 / 400 tokens"), "{out}{err}");
    }
    let made = in_data(&project);
    assert!(made.len() == 1 && made[0].starts_with("small-"), "{made:?}");
}
