//! Runs that are stopped, resumed and killed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, SMALL};

/// Long enough to be caught at work.
const LONG: &str = "tokens = 160000";

fn start(project: &Project) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
    command.current_dir(project.path("")).args(["run", "experiments/small.toml", "--only", "full"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The process of the run that `lexmax run` has started; it also asks git for the commit.
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
        assert!(started.elapsed() < Duration::from_secs(60), "nothing came in a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}

/// Waits until a process has libtorch loaded and trains: it has used some processor time.
fn wait_until_busy(process: u32) {
    wait_for(|| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let ticks: u64 = stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()?;
        (ticks > 60).then_some(())
    });
}

#[test]
fn ctrl_c_leaves_a_checkpoint_from_which_the_same_result_is_reached() {
    let project =
        Project::new(&SMALL.replace("tokens = 1600", LONG).replace("seeds = [1, 2]", "seeds = [1]"));
    let child = start(&project);
    let run = run_process(&child);
    wait_until_busy(run);
    signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
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
}

#[test]
fn a_run_whose_process_is_killed_is_a_failed_row_and_the_next_one_runs() {
    let project = Project::new(&SMALL.replace("tokens = 1600", LONG));
    let child = start(&project);
    let first = run_process(&child);
    wait_until_busy(first);
    signal(first, "KILL");
    let next = wait_for(|| Some(run_process(&child)).filter(|&process| process != first));
    wait_until_busy(next);
    signal(next, "KILL");
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && out.contains("0 finished, 2 failed"), "{out}");
    for record in project.records() {
        let error = record["status"]["error"].as_str().unwrap();
        assert!(error.contains("signal 9") && record["curve"].is_array(), "{error}");
    }
}
