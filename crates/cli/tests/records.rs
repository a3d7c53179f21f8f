//! Which records a run sets aside, keeps and signs.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL, read_records};

const RUN: [&str; 2] = ["run", "experiments/small.toml"];

#[test]
fn records_of_other_configurations_are_set_aside_and_come_back() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    project.lexmax(&RUN).good();
    let first = project.records();
    let other =
        project.lexmax(&["run", "experiments/small.toml", "--set", "training.learning_rate=0.02"]).good();
    assert!(other.err().contains("2 records of other configurations moved"), "{}", other.err());
    assert_eq!(read_records(&project.path("results/small/superseded")).len(), 2);
    let back = project.lexmax(&RUN).good();
    assert!(back.out().contains("2 finished before"), "{}", back.out());
    assert_eq!(project.records(), first);
}

#[test]
fn other_seeds_and_other_experiments_set_nothing_aside() {
    let project = Project::new(SMALL);
    project.lexmax(&[&RUN[..], &["--only", "full"]].concat()).good();
    let more =
        project.lexmax(&[&RUN[..], &["--only", "full", "--set", "training.seeds=[3]"]].concat()).good();
    assert!(more.out().contains("1 finished") && !more.err().contains("moved"), "{}", more.err());
    assert_eq!(project.records().len(), 3);
    // A change of one output leaves the others.
    let one = project
        .lexmax(&[&RUN[..], &["--only", "adaptive", "--set", "outputs.adaptive.cutoffs=[20]"]].concat());
    assert!(!one.good().err().contains("moved"));
    assert_eq!(project.records().len(), 5);
    project.write("experiments/other.toml", &SMALL.replace("learning_rate = 0.01", "learning_rate = 0.03"));
    let other = ["run", "experiments/other.toml", "--only", "full", "--results", "results/small"];
    assert!(!project.lexmax(&other).good().err().contains("moved"));
    assert_eq!(project.records().len(), 7);
    assert!(!project.path("results/small/superseded").exists());
}

#[test]
fn a_dry_run_knows_what_again_means() {
    let project = Project::new(SMALL);
    project.lexmax(&[&RUN[..], &["--only", "full"]].concat()).good();
    let dry = project.lexmax(&[&RUN[..], &["--dry-run", "--again"]].concat()).good().out();
    assert_eq!(dry.lines().filter(|line| line.ends_with("finished, will run again")).count(), 2, "{dry}");
    assert!(dry.contains("4 runs to do"), "{dry}");
    assert!(project.lexmax(&[&RUN[..], &["--dry-run"]].concat()).good().out().contains("2 runs to do"));
}

#[test]
fn damaged_and_foreign_files_hinder_neither_runs_nor_reports() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    project.lexmax(&RUN).good();
    let runs = project.path("results/small/runs");
    let mut files: Vec<_> = std::fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text = std::fs::read(&files[0]).unwrap();
    std::fs::write(&files[0], &text[..text.len() / 2]).unwrap();
    std::fs::write(runs.join("package.json"), "{\"name\": \"x\"}").unwrap();
    std::fs::copy(&files[1], runs.join("run (copy).json")).unwrap();
    std::fs::create_dir(runs.join("folder.json")).unwrap();

    let dry = project.lexmax(&[&RUN[..], &["--dry-run"]].concat()).good().out();
    assert!(dry.contains("1 runs to do"), "{dry}");
    let again = project.lexmax(&RUN).good();
    assert!(again.out().contains("1 finished, 0 failed, 1 finished before"), "{}", again.out());
    assert!(again.err().contains("package.json is left alone"), "{}", again.err());
    let report = project.lexmax(&["report", "results/small"]).good().out();
    let kept = format!("{}.unusable", files[0].file_name().unwrap().to_str().unwrap());
    for name in ["package.json", "run (copy).json", "folder.json", &kept] {
        assert!(report.contains(&format!("The file runs/{name} was left out")), "{name}: {report}");
    }
    let runs = std::fs::read_to_string(project.path("results/small/report/runs.csv")).unwrap();
    assert_eq!(runs.lines().count(), 3, "{runs}");
}

/// A binary that lies in or works in somebody else's repository must not sign with their commit.
#[test]
fn recorded_commit_is_that_of_the_build_in_any_repository() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .arg("-C")
            .arg(project.path(""))
            .args(arguments)
            .output()
            .is_ok_and(|done| done.status.success())
    };
    let who = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"];
    if !(git(&["init", "--quiet"])
        && git(&["add", "."])
        && git(&[&who[..], &["commit", "-qm", "theirs"]].concat()))
    {
        eprintln!("skipped: no git here");
        return;
    }
    project.lexmax(&RUN).good();
    for record in project.records() {
        assert_eq!(record["environment"]["commit"].as_str(), option_env!("LEXMAX_COMMIT"));
    }
}
