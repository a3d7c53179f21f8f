//! Several experiment files, several processes, other machines: whose records are whose.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL, read_records};

const RUN: [&str; 4] = ["run", "experiments/small.toml", "--only", "full"];

fn one_seed() -> String {
    SMALL.replace("seeds = [1, 2]", "seeds = [1]")
}

#[test]
fn two_files_of_one_name_do_not_push_each_other_out() {
    let project = Project::new(SMALL);
    project.write("ea/same.toml", &one_seed());
    project.write("eb/same.toml", &one_seed().replace("learning_rate = 0.01", "learning_rate = 0.02"));
    project.lexmax(&["run", "ea/same.toml"]).good();
    let first = read_records(&project.path("results/same/runs"));
    let text = project.lexmax(&["run", "eb/same.toml"]).refused();
    assert!(
        text.contains("ea/same.toml") && text.contains("eb/same.toml") && text.contains("--results"),
        "{text}"
    );
    assert_eq!(project.lexmax(&["run", "eb/same.toml", "--dry-run"]).refused(), text);
    assert_eq!(read_records(&project.path("results/same/runs")), first);
    assert!(!project.path("results/same/superseded").exists());
    // In a folder of its own, by a path that leads there another way, and after a move of the file.
    project.lexmax(&["run", "eb/same.toml", "--results", "results/eb"]).good();
    let again = project.lexmax(&["run", "eb/../ea/same.toml"]).good();
    assert!(again.out().contains("2 finished before"), "{}", again.out());
    std::fs::rename(project.path("ea"), project.path("ec")).unwrap();
    let moved = project.lexmax(&["run", "ec/same.toml"]).good();
    assert!(moved.out().contains("2 finished before"), "{}", moved.out());
}

#[test]
fn threads_that_the_file_does_not_name_are_no_part_of_a_run() {
    let project = Project::new(&one_seed().replace("threads = 1\n", ""));
    let dry = |set: &[&str]| project.lexmax(&[&RUN[..], &["--dry-run"], set].concat()).good().out();
    let id = |text: &str| text.lines().find(|line| line.contains("full")).unwrap()[..16].to_owned();
    let unnamed = id(&dry(&[]));
    assert_ne!(unnamed, id(&dry(&["--threads", "1"])));
    assert_eq!(id(&dry(&["--threads", "1"])), id(&dry(&["--set", "training.threads=1"])));
    project.lexmax(&RUN).good();
    let record = &project.records()[0];
    assert_eq!(record["id"], *unnamed);
    assert!(record["config"]["training"].get("threads").is_none(), "{record}");
    assert!(record["environment"]["threads"].as_u64().unwrap() >= 1);
}

/// A run that was finished on other cores is finished, and one that was stopped there goes on.
#[test]
#[cfg(target_os = "linux")]
fn finished_runs_stay_so_on_fewer_cores() {
    let project = Project::new(&one_seed().replace("threads = 1\n", ""));
    project.lexmax(&RUN).good();
    let (first, cores) = (project.records(), std::thread::available_parallelism().unwrap().get());
    let on_one = std::process::Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_lexmax")])
        .args(RUN)
        .current_dir(project.path(""))
        .output();
    let Ok(on_one) = on_one else {
        eprintln!("skipped: no taskset here");
        return;
    };
    let out = String::from_utf8_lossy(&on_one.stdout).into_owned();
    if !on_one.status.success() && cores == 1 {
        eprintln!("skipped: core 0 is not for this process");
        return;
    }
    assert!(out.contains("1 finished before"), "{out}{}", String::from_utf8_lossy(&on_one.stderr));
    assert_eq!(project.records(), first);
    assert!(!project.path("results/small/superseded").exists());
}

#[test]
fn several_runners_on_one_folder_lose_no_record() {
    let project = Project::new(SMALL);
    project.lexmax(&["run", "experiments/small.toml", "--dry-run"]).good();
    project.write("experiments/other.toml", &SMALL.replace("learning_rate = 0.01", "learning_rate = 0.03"));
    let start = |file: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lexmax"));
        command.args(["run", file, "--results", "results/both"]).current_dir(project.path(""));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let files = ["experiments/small.toml", "experiments/small.toml", "experiments/other.toml"];
    let children: Vec<_> = files.iter().map(|file| start(file)).collect();
    let mut finished = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => finished += 1,
            Some(1) => assert!(err.contains("another `lexmax run` is at work there"), "{err}"),
            other => panic!("{other:?}: {err}"),
        }
    }
    assert!(finished >= 1);
    for file in files {
        let mut left = start(file).wait_with_output().unwrap();
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
        left.stdout.clear();
    }
    let ids: std::collections::BTreeSet<String> = read_records(&project.path("results/both/runs"))
        .iter()
        .map(|record| {
            assert_eq!(record["status"]["state"], "finished");
            record["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 8);
}

#[test]
fn damaged_and_copied_records_hinder_no_run() {
    let project = Project::new(&one_seed());
    let run = |more: &[&str]| project.lexmax(&[&["run", "experiments/small.toml"], more].concat()).good();
    run(&[]);
    let id = project.records()[0]["id"].as_str().unwrap().to_owned();
    let record = project.path(&format!("results/small/runs/{id}.json"));
    let text = std::fs::read_to_string(&record).unwrap();
    // Half a record and a file of something else: the run is done again, the others stay.
    std::fs::write(&record, &text[..text.len() / 2]).unwrap();
    std::fs::write(project.path("results/small/runs/notes.json"), "[1, 2]").unwrap();
    assert!(run(&["--dry-run"]).out().contains("1 runs to do"));
    let again = run(&[]);
    assert!(again.err().contains("notes.json is left alone"), "{}", again.err());
    assert!(again.out().contains("1 finished, 0 failed, 1 finished before"), "{}", again.out());
    // A copy stands for a damaged original, in a dry run and in a real one.
    std::fs::write(project.path("results/small/runs/copy.json"), &text).unwrap();
    assert!(run(&[]).out().contains("2 finished before"));
    std::fs::write(&record, "").unwrap();
    assert!(run(&["--dry-run"]).out().contains("0 runs to do"));
    assert!(run(&[]).out().contains("2 finished before"));
    // Another configuration moves the records aside, and stumbles over neither.
    run(&["--set", "training.learning_rate=0.02"]);
}
