//! Every signal that asks a job to end leaves a checkpoint, whoever of its processes gets it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, SMALL};

/// Processes that a signal is sent to.
#[derive(Debug, Clone, Copy)]
enum Receiver {
    Group,
    Parent,
    Run,
    /// The parent and then its group, as `timeout` does.
    ParentAndGroup,
}

/// Whether this process ignores SIGHUP, as under `nohup`: those that it starts do so too.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & 1 == 1
}

fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "nothing came in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(project: &Project) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
    command.current_dir(project.path("")).args(["run", "experiments/small.toml", "--only", "full"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap()
}

/// The process of the run, once it has trained for some processor time.
fn busy_run(parent: &Child) -> u32 {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let is_run = |process: &&str| {
        let command = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        command.split('\0').nth(1) == Some("worker")
    };
    let run: u32 =
        wait_for(|| std::fs::read_to_string(&children).ok()?.split_whitespace().find(is_run)?.parse().ok());
    wait_for(|| {
        let stat = std::fs::read_to_string(format!("/proc/{run}/stat")).ok()?;
        let ticks: u64 = stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()?;
        (ticks > 100).then_some(())
    });
    run
}

fn send(signal: &str, to: Receiver, parent: &Child, run: u32) {
    let kill = |process: String| {
        let status = Command::new("kill").args(["-s", signal, "--", &process]).status().unwrap();
        assert!(status.success(), "kill {signal} {process}");
    };
    let (parent, group) = (parent.id().to_string(), format!("-{}", parent.id()));
    match to {
        Receiver::Group => kill(group),
        Receiver::Parent => kill(parent),
        Receiver::Run => kill(run.to_string()),
        Receiver::ParentAndGroup => {
            kill(parent);
            kill(group);
        }
    }
}

/// The step of the only checkpoint.
fn saved_step(project: &Project) -> u64 {
    let files = std::fs::read_dir(project.path("results/small/checkpoints")).unwrap();
    let saved: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    let bytes = std::fs::read(&saved[0]).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (_, after) = text.split_once("\"step\":").unwrap();
    after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn signals_leave_a_checkpoint_that_the_next_call_goes_on_from() {
    let project = Project::new(&SMALL.replace("tokens = 1600", "tokens = 1000000000"));
    let mut steps = Vec::new();
    for (signal, to, status) in [
        ("TERM", Receiver::Group, 143),
        ("TERM", Receiver::Parent, 143),
        ("TERM", Receiver::Run, 143),
        ("TERM", Receiver::ParentAndGroup, 143),
        ("HUP", Receiver::Group, 129),
        ("HUP", Receiver::Parent, 129),
        ("INT", Receiver::Group, 130),
        ("INT", Receiver::ParentAndGroup, 130),
    ] {
        if signal == "HUP" && hang_up_is_ignored() {
            eprintln!("skipped: SIGHUP is ignored here");
            continue;
        }
        let parent = start(&project);
        let run = busy_run(&parent);
        send(signal, to, &parent, run);
        let output = parent.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{signal} {to:?}: {out}{err}");
        assert!(out.contains("2 left") && out.contains("goes on from here"), "{signal} {to:?}: {out}");
        steps.push(saved_step(&project));
    }
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "each call goes on from the last: {steps:?}");
    assert!(project.records().is_empty());
}

#[test]
fn a_hang_up_that_is_ignored_stays_so() {
    let project = Project::new(&SMALL.replace("tokens = 1600", "tokens = 1000000000"));
    let mut command = Command::new("sh");
    let run = format!(
        "trap '' HUP; exec '{}' run experiments/small.toml --only full",
        env!("CARGO_BIN_EXE_lexmax")
    );
    command.current_dir(project.path("")).args(["-c", &run]);
    let mut parent = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let run = busy_run(&parent);
    send("HUP", Receiver::Group, &parent, run);
    std::thread::sleep(Duration::from_millis(500));
    assert!(parent.try_wait().unwrap().is_none(), "it ended");
    send("TERM", Receiver::Group, &parent, run);
    assert_eq!(parent.wait().unwrap().code(), Some(143));
}
