//! Runs that are stopped, resumed and killed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, SMALL};

/// A run that nobody waits for.
const ENDLESS: &str = "tokens = 1000000000";

/// A project with one run of ever more tokens, until `attempt` catches it at work, however fast the
/// machine is.
fn until_caught(attempt: impl Fn(&Project) -> bool) {
    let caught = [320_000, 1_280_000, 5_120_000, 20_480_000].into_iter().any(|tokens| {
        let long = SMALL.replace("tokens = 1600", &format!("tokens = {tokens}"));
        attempt(&Project::new(&long.replace("seeds = [1, 2]", "seeds = [1]")))
    });
    assert!(caught, "every run ended before it was stopped");
}

fn start(project: &Project) -> Child {
    start_command(project, &["run", "experiments/small.toml", "--only", "full"])
}

fn start_command(project: &Project, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
    command.current_dir(project.path("")).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The process of the run that `lexmax run` has started.
fn run_process(parent: &Child) -> u32 {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let is_run = |process: &&str| {
        let command = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        command.split('\0').nth(1) == Some("worker")
    };
    wait_for(|| std::fs::read_to_string(&children).ok()?.split_whitespace().find(is_run)?.parse().ok())
}

fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        // Far longer than a busy machine takes; a test that would wait for ever ends.
        assert!(started.elapsed() < Duration::from_secs(1200), "nothing came in 20 minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal; a process that has ended gets none.
fn signal(process: u32, name: &str) {
    Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Waits until a process has libtorch loaded and trains, that is, has used some processor time, or
/// has ended.
fn wait_until_busy(process: u32) {
    wait_for(|| {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return Some(()) };
        let ticks: u64 = stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()?;
        (ticks > 60).then_some(())
    });
}

#[test]
fn ctrl_c_leaves_a_checkpoint_that_resumes_to_the_same_result() {
    until_caught(|project| {
        let child = start(project);
        wait_until_busy(run_process(&child));
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if out.contains("1 finished") {
            return false;
        }
        assert_eq!(output.status.code(), Some(130), "{out}");
        assert!(out.contains("1 left") && out.contains("goes on from here"), "{out}");
        assert!(project.records().is_empty());
        let checkpoints = std::fs::read_dir(project.path("results/small/checkpoints")).unwrap();
        let saved = checkpoints
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "safetensors"));
        assert_eq!(saved.count(), 1);

        project.lexmax(&["run", "experiments/small.toml", "--only", "full"]).good();
        let resumed = project.records();
        project.lexmax(&["run", "experiments/small.toml", "--only", "full", "--again"]).good();
        let whole = project.records();
        for figure in ["/result/test/nats", "/result/valid_nll", "/result/steps", "/curve/1/train_loss"] {
            assert_eq!(resumed[0].pointer(figure).unwrap(), whole[0].pointer(figure).unwrap(), "{figure}");
        }
        true
    });
}

#[test]
fn killed_run_is_a_failed_row_and_the_next_run_starts() {
    let project = Project::new(&SMALL.replace("tokens = 1600", ENDLESS));
    let child = start(&project);
    let first = run_process(&child);
    wait_until_busy(first);
    signal(first, "KILL");
    let next = wait_for(|| Some(run_process(&child)).filter(|&process| process != first));
    wait_until_busy(next);
    signal(next, "KILL");
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && out.contains("0 finished, 2 failed"), "{out}");
    for record in project.records() {
        let error = record["status"]["error"].as_str().unwrap();
        assert!(error.contains("signal 9") && record["curve"].is_array(), "{error}");
    }
}

#[test]
fn a_run_that_is_done_again_and_breaks_leaves_its_result() {
    until_caught(|project| {
        project.lexmax(&["run", "experiments/small.toml", "--only", "full"]).good();
        let finished = project.records();
        let child = start_command(project, &["run", "experiments/small.toml", "--only", "full", "--again"]);
        let run = run_process(&child);
        wait_until_busy(run);
        signal(run, "KILL");
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if out.contains("1 finished") {
            return false;
        }
        assert!(output.status.code() == Some(1) && out.contains("0 finished, 1 failed"), "{out}");
        assert!(err.contains("signal 9") && err.contains("finished record of before stays"), "{err}");
        assert_eq!(project.records(), finished);
        true
    });
}

/// Names of the files in `data`, hidden ones included.
fn in_data(project: &Project) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(project.path("data")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn interrupted_or_killed_corpus_build_leaves_no_files() {
    // Minutes of work.
    let many = "1000000000";
    let project = Project::new(&SMALL.replace("train_tokens = 4000", &format!("train_tokens = {many}")));
    let synth = ["corpus", "synth", "--vocab-size", "100", "--train-tokens", many, "--out", "data/big"];
    for command in [&synth[..], &["run", "experiments/small.toml"]] {
        let child = start_command(&project, command);
        wait_for(|| in_data(&project).iter().any(|name| name.ends_with(".tmp")).then_some(()));
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(130) && err.contains("interrupted"), "{command:?}: {err}");
        assert_eq!(in_data(&project), [""; 0], "{command:?}");
    }
    let mut child = start_command(&project, &synth);
    wait_for(|| (!in_data(&project).is_empty()).then_some(()));
    wait_until_busy(child.id());
    signal(child.id(), "KILL");
    child.wait().unwrap();
    assert_eq!(in_data(&project).len(), 1);
    let few = ["corpus", "synth", "--vocab-size", "100", "--train-tokens", "1000", "--out", "data/big"];
    project.lexmax(&few).good();
    assert_eq!(in_data(&project), ["big"]);
}
