//! `lexmax run` and `lexmax report`, from the experiment file to the page.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Project, SMALL};

const RUN: [&str; 2] = ["run", "experiments/small.toml"];

#[test]
fn experiment_is_run_once_recorded_and_reported() {
    let project = Project::new(SMALL);
    let answer = project.lexmax(&RUN).good();
    assert!(answer.out().contains("4 finished, 0 failed, 0 finished before, 0 left"), "{}", answer.out());
    // One plain line a run, since standard error is no terminal here; seeds are interleaved.
    let lines: Vec<String> = answer.err().lines().map(str::to_owned).collect();
    let starts = [
        "[1/4] full seed 1: test perplexity",
        "[2/4] adaptive seed 1:",
        "[3/4] full seed 2:",
        "[4/4] adaptive seed 2:",
    ];
    assert!(
        lines.len() == 4 && lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)),
        "{lines:?}"
    );

    let records = project.records();
    assert_eq!(records.len(), 4);
    for record in &records {
        assert_eq!(record["status"]["state"], "finished");
        assert_eq!(record["curve"].as_array().unwrap().len(), 2);
        let result = &record["result"];
        assert_eq!((result["tokens"].as_u64(), result["steps"].as_u64()), (Some(1600), Some(50)));
        // 10 streams of 40: every token after the first of each.
        assert_eq!(result["test"]["tokens"], 390);
        let nll = result["test"]["nats"].as_f64().unwrap() / 390.0;
        let truth = result["true_test_nll"].as_f64().unwrap();
        assert!(nll > truth && nll < 60_f64.ln() + 0.2 && truth > 1.0, "nll {nll}, truth {truth}");
        let bands = result["test"]["bands"].as_array().unwrap();
        assert_eq!(bands.iter().map(|band| band["tokens"].as_u64().unwrap()).sum::<u64>(), 390);
        for figure in
            ["train_seconds", "train_tokens_per_second", "eval_tokens_per_second", "layer_ms", "top_k_ms"]
        {
            assert!(result[figure].as_f64().unwrap() > 0.0, "{figure}");
        }
        assert!(result["peak_memory_bytes"].as_u64().unwrap() > 10 << 20);
        let layer = result["layer_parameters"].as_u64().unwrap();
        // Embedding 60 x 8, hidden 12 x 16 + 12.
        assert_eq!(result["parameters"].as_u64().unwrap(), layer + 480 + 204);
        if record["name"] == "full" {
            assert_eq!(layer, 60 * 12 + 60);
        }
        assert_eq!(record["environment"]["threads"], 1);
        assert_eq!(result["compute_path"], "fused");
    }

    let again = project.lexmax(&RUN).good();
    assert!(again.out().contains("0 finished, 0 failed, 4 finished before"), "{}", again.out());
    let forced = project.lexmax(&["run", "experiments/small.toml", "--again", "--only", "full"]).good();
    assert!(forced.out().contains("2 finished"), "{}", forced.out());

    let report = project.lexmax(&["report", "results/small"]).good();
    assert!(report.out().contains("adaptive") && report.out().contains("report.html"), "{}", report.out());
    let page = std::fs::read_to_string(project.path("results/small/report/report.html")).unwrap();
    assert!(page.contains("adaptive") && page.contains("<svg"));
    assert!(project.path("results/small/report/table.md").is_file());
}

#[test]
fn record_names_the_path_that_was_taken() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    let with = |compute: &'static str| [RUN[0], RUN[1], "--set", compute];
    let refused = project.lexmax(&[&with("training.compute=chunky")[..], &["--dry-run"]].concat()).refused();
    assert!(["fastest", "chunked", "reference"].iter().all(|name| refused.contains(name)), "{refused}");
    let dry = project.lexmax(&[&with("training.compute=chunked")[..], &["--dry-run"]].concat()).good().out();
    assert_eq!(dry.lines().filter(|line| line.ends_with("waiting")).count(), 2, "{dry}");
    project.lexmax(&with("training.compute=chunked")).good();
    let records = project.records();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record["config"]["training"]["compute"], "chunked");
        assert_eq!(record["result"]["compute_path"], "chunked");
    }
}

#[test]
fn a_run_that_fails_is_a_row_and_the_others_go_on() {
    let outputs = r#"
[[outputs]]
name = "diverges"
layer = "full"
training = { learning_rate = 3e38, optimizer = { kind = "sgd" } }
"#;
    let project = Project::new(&format!("{SMALL}{outputs}").replace("seeds = [1, 2]", "seeds = [1]"));
    let answer = project.lexmax(&RUN).ended_with(1);
    assert!(answer.out().contains("2 finished, 1 failed"), "{}{}", answer.out(), answer.err());
    let records = project.records();
    let status =
        |output: &str| records.iter().find(|record| record["name"] == output).unwrap()["status"].clone();
    assert_eq!(status("adaptive")["state"], "finished");
    let diverged = status("diverges");
    assert!(diverged["step"].as_u64().is_some_and(|step| (2..20).contains(&step)), "{diverged}");
    // Failed runs run again, finished ones do not.
    let again = project.lexmax(&RUN).ended_with(1);
    assert!(again.out().contains("0 finished, 1 failed, 2 finished before"), "{}", again.out());
    let report = project.lexmax(&["report", "results/small"]).good();
    assert!(report.out().contains("diverges"), "{}", report.out());
}

#[test]
fn a_corpus_that_was_damaged_is_refused() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    project.lexmax(&["run", "experiments/small.toml", "--dry-run"]).good();
    let corpus = std::fs::read_dir(project.path("data")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(corpus.join("valid.bin")).unwrap();
    let text = project.lexmax(&RUN).refused();
    assert!(text.contains("valid.bin"), "{text}");
}

#[test]
fn a_dry_run_shows_the_matrix_and_trains_nothing() {
    let project = Project::new(SMALL);
    let answer = project.lexmax(&["run", "experiments/small.toml", "--dry-run"]).good();
    let text = answer.out();
    assert!(text.contains("V = 60") && text.contains("4 runs to do"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("waiting")).count(), 4, "{text}");
    assert!(project.records().is_empty());
    // The ids are those that the run uses, and its speed gives the time that a longer run needs.
    project
        .lexmax(&["run", "experiments/small.toml", "--only", "full", "--set", "training.seeds=[1]"])
        .good();
    let id = project.records()[0]["id"].as_str().unwrap().to_owned();
    assert!(text.contains(&id), "{id} in {text}");
    let after = project.lexmax(&["run", "experiments/small.toml", "--dry-run"]).good().out();
    assert!(after.contains("3 runs to do") && after.contains("and 2 runs of which"), "{after}");
    let seconds = ["run", "experiments/small.toml", "--dry-run", "--set", "training.budget.seconds=60"];
    assert!(project.lexmax(&seconds).good().out().contains("4 runs to do, about 4 min"));
}

#[test]
fn mistakes_are_named() {
    let project = Project::new(SMALL);
    let run = |more: &[&str]| project.lexmax(&[&RUN, more].concat()).refused();
    let text = run(&["--set", "training.lerning_rate=1"]);
    assert!(text.contains("small.toml") && text.contains("did you mean `learning_rate`?"), "{text}");
    let text = run(&["--only", "ful"]);
    assert!(text.contains("unknown output `ful`; did you mean `full`?"), "{text}");
    let grid = ["--set", "outputs.full.grid={soft_cap=[10.0, 20.0]}", "--only", "fll"];
    let text = run(&grid);
    assert!(text.contains("did you mean `full`? expected one of `full`, `adaptive`"), "{text}");
    let text = run(&["--device", "gpu"]);
    assert!(text.contains("\"gpu\"") && text.contains("expected `cpu`"), "{text}");
    let text = project.lexmax(&["run", "experiments/none.toml"]).refused();
    assert!(text.contains("experiments/none.toml"), "{text}");
    let text = run(&["--set", "corpus={path=\"data/none\"}"]);
    assert!(text.contains("data/none"), "{text}");
    let text = run(&["--set", "training.batch=3000"]);
    assert!(text.contains("4000 training tokens, expected at least 6000"), "{text}");
    assert!(project.lexmax(&["report", "results/none"]).refused().contains("results/none"));
}

#[test]
fn help_has_an_example_everywhere_and_layers_are_listed() {
    let project = Project::new(SMALL);
    for command in [
        &["run"] as &[&str],
        &["report"],
        &["layers"],
        &["corpus"],
        &["corpus", "build"],
        &["corpus", "show"],
        &["corpus", "synth"],
        &[],
    ] {
        let help = project.lexmax(&[command, &["--help"]].concat()).good().out();
        assert!(help.contains("Example") && help.contains("  lexmax "), "{command:?}: {help}");
    }
    let layers = project.lexmax(&["layers"]).good().out();
    for layer in ["full", "sampled", "hierarchical", "adaptive", "mos", "sigsoftmax"] {
        assert!(layers.lines().any(|line| line.starts_with(layer)), "{layers}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let project = Project::new(SMALL);
    project.lexmax(&RUN).good();
    let corpus = std::fs::read_dir(project.path("data")).unwrap().next().unwrap().unwrap().path();
    let dry_run = [RUN[0], RUN[1], "--dry-run"];
    for command in [
        &["layers"] as &[&str],
        &["corpus", "show", corpus.to_str().unwrap()],
        &["report", "results/small"],
        &dry_run,
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let answer = project.lexmax_into(command, writer.into());
        assert!(answer.err().is_empty(), "{command:?}: {}", answer.err());
        answer.good();
    }
}

#[test]
fn equal_outputs_are_refused_and_a_new_name_keeps_the_record() {
    let twin = "\n[[outputs]]\nname = \"twin\"\nlayer = \"full\"\n";
    let text = Project::new(&format!("{SMALL}{twin}")).lexmax(&RUN).refused();
    assert!(text.contains("output `twin`") && text.contains("the same as `full`"), "{text}");

    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    project.lexmax(&RUN).good();
    let renamed =
        SMALL.replace("seeds = [1, 2]", "seeds = [1]").replace("name = \"full\"", "name = \"plain\"");
    project.write("experiments/small.toml", &renamed);
    let again = project.lexmax(&RUN).good();
    assert!(again.out().contains("2 finished before"), "{}", again.out());
    let mut names: Vec<String> =
        project.records().iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["adaptive", "plain"]);
}

#[test]
fn a_dry_run_tells_what_a_layer_will_refuse() {
    let project = Project::new(&SMALL.replace("cutoffs = [10, 30]", "cutoffs = [30, 10]"));
    let text = project.lexmax(&["run", "experiments/small.toml", "--dry-run"]).good().out();
    assert!(text.contains("will fail: ") && text.contains("cutoffs"), "{text}");
    assert!(text.contains("2 runs to do"), "{text}");
    let refusal = project.lexmax(&RUN).refused();
    assert!(refusal.contains("output `adaptive`") && refusal.contains("30 followed by 10"), "{refusal}");
    assert!(project.records().is_empty());
    project.lexmax(&[&RUN[..], &["--only", "full"]].concat()).good();
}

#[test]
fn a_budget_that_the_set_up_used_up_trains_nothing_and_says_so() {
    let project = Project::new(&SMALL.replace("budget = { tokens = 1600 }", "budget = { seconds = 1e-9 }"));
    project.lexmax(&RUN).ended_with(1);
    let status = project.records()[0]["status"].to_string();
    assert!(status.contains("used up before the first step"), "{status}");
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_set_aside() {
    let project = Project::new(&SMALL.replace("seeds = [1, 2]", "seeds = [1]"));
    let only = [&RUN[..], &["--only", "full"]].concat();
    project.lexmax(&only).good();
    let id = project.records()[0]["id"].as_str().unwrap().to_owned();
    std::fs::remove_file(project.path(&format!("results/small/runs/{id}.json"))).unwrap();
    let checkpoint = project.write(&format!("results/small/checkpoints/{id}.safetensors"), "damaged");
    project.lexmax(&only).ended_with(1);
    let status = project.records()[0]["status"].to_string();
    assert!(status.contains("starts from the beginning"), "{status}");
    assert!(!checkpoint.exists() && checkpoint.with_extension("damaged").exists());
    project.lexmax(&only).good();
}
