//! `lexmax run`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use lexmax_lab::config::Budget;
use lexmax_lab::{
    Experiment, Outcome, Overrides, Plan, RunOptions, RunSpec, catch_interrupts, check_results,
    prepare_corpus, run_plan, status_of,
};
use lexmax_records::{RunRecord, RunStatus, RunStore};

use crate::{INTERRUPTED, out};

/// Arguments of `lexmax run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Finished runs are skipped, failed ones are rows with their error, and Ctrl-C (or SIGTERM, or SIGHUP) leaves a checkpoint
that the next call resumes from. Where file and corpus tell that a run is certain to fail, nothing is started and every
such output is named; --dry-run shows them as rows, and --only runs the others. Records of this experiment whose configuration the file (with --set) no longer has, whatever their seed,
move from runs/ to superseded/ in the results folder, so that no report mixes them in; they come back with their
configuration, and nothing is deleted.

Two experiment files of one name need results folders of their own: the second one is refused with both paths.

Exit status: 0 when every run is finished, 1 when a run failed or the command was refused; when a signal left runs, 128
and its number: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

Examples:
  lexmax run experiments/quickstart.toml --dry-run
  lexmax run experiments/wikitext-2.toml --only full --only 'adaptive'
  lexmax run experiments/wikitext-2.toml --set training.budget.seconds=30 --set training.seeds=[1,2,3] --results results/short
  lexmax run experiments/quickstart.toml --set 'outputs.mos.components=3'")]
pub struct RunArgs {
    /// An experiment file.
    experiment: PathBuf,
    /// Set a value over the file's: a dotted key, as in training.batch or outputs.NAME.samples, and
    /// a TOML value, or nothing to take the key away; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run this output only; may be repeated. A name without its grid values means the whole grid.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Show the runs with their ids and the time they need, and train nothing. A corpus that is
    /// absent is made.
    #[arg(long)]
    dry_run: bool,
    /// Do finished runs again; a record stays until there is a new result.
    #[arg(long)]
    again: bool,
    /// `cpu`, `cuda` or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads of libtorch, instead of the file's; every core that the process may use where
    /// neither says.
    #[arg(long)]
    threads: Option<usize>,
    /// Folder for the records; `results/NAME` beside `experiments` where not given.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

/// Runs an experiment.
pub fn run(arguments: RunArgs) -> Result<ExitCode> {
    catch_interrupts();
    let overrides = Overrides { set: arguments.set, threads: arguments.threads };
    let experiment = Experiment::load(&arguments.experiment, &overrides)?;
    let (corpus_dir, corpus) = prepare_corpus(&experiment)?;
    let plan = Plan::new(&experiment, &corpus_dir, &corpus, &arguments.device)?;
    let usual = || experiment.project.join("results").join(&experiment.name);
    let results = arguments.results.unwrap_or_else(usual);
    if arguments.dry_run {
        out::print(&table(&plan, &results, &arguments.only, arguments.again)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = std::env::current_exe().context("find this program, which runs are started from")?;
    let worker = (program, vec!["worker".to_owned()]);
    let commit = option_env!("LEXMAX_COMMIT").map(str::to_owned);
    let options = RunOptions { results, only: arguments.only, again: arguments.again, commit, worker };
    let outcome = run_plan(&plan, &options)?;
    let printed = out::print(&summary(outcome, &options.results)?);
    if outcome.left > 0 {
        // The terminal may be gone, which was the signal: the status tells all the same.
        return Ok(ExitCode::from(outcome.signal.map_or(INTERRUPTED, status_of)));
    }
    printed?;
    Ok(if outcome.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Summary of the runs by their end, with the next command.
fn summary(outcome: Outcome, results: &Path) -> Result<String> {
    let results = results.display();
    let mut out = String::new();
    writeln!(
        out,
        "{} finished, {} failed, {} finished before, {} left; records in {results}",
        outcome.finished, outcome.failed, outcome.skipped, outcome.left
    )?;
    match outcome {
        Outcome { left: 1.., .. } => writeln!(out, "the same command goes on from here")?,
        _ => writeln!(out, "next: lexmax report {results}")?,
    }
    Ok(out)
}

/// The runs with their ids and states, and the time they need.
fn table(plan: &Plan, results: &Path, only: &[String], again: bool) -> Result<String> {
    check_results(plan, results)?;
    let records = RunStore::open(results).read_all()?.into_records();
    let runs = plan.only(only)?;
    let mut out = String::new();
    let corpus = &plan.corpus;
    writeln!(
        out,
        "{}: corpus {}, V = {}, {} / {} / {} tokens",
        plan.experiment,
        corpus.name,
        corpus.vocab_size,
        corpus.train_tokens,
        corpus.valid_tokens,
        corpus.test_tokens
    )?;
    writeln!(out, "{:<18}{:<40}{:>5}  {:<14}{:<20}state", "id", "output", "seed", "family", "budget")?;
    let (mut waiting, mut seconds, mut unknown) = (0, 0.0, 0);
    for run in runs {
        let record = records.iter().find(|record| record.run.id == run.id);
        let refused = run.refusal.as_ref();
        let state = match (record.map(|record| &record.status), refused) {
            (_, Some(why)) => format!("will fail: {why}"),
            (Some(RunStatus::Finished(_)), None) if again => "finished, will run again".to_owned(),
            (Some(RunStatus::Finished(_)), None) => "finished".to_owned(),
            (None, None) => "waiting".to_owned(),
            (Some(RunStatus::Failed { .. }), None) => "failed, will run again".to_owned(),
        };
        if state != "finished" && refused.is_none() {
            waiting += 1;
            match estimate(run, plan, &records) {
                Some(estimate) => seconds += estimate,
                None => unknown += 1,
            }
        }
        let (id, output, seed) = (run.id.as_str(), &run.name, run.config.seed);
        let (family, budget) = (run.config.output.family(), budget(run.config.training.budget));
        writeln!(out, "{id:<18}{output:<40}{seed:>5}  {family:<14}{budget:<20}{state}")?;
    }
    let total = format!("{waiting} runs to do, about {} of training", minutes(seconds));
    match unknown {
        0 => writeln!(out, "{total}, evaluation not counted"),
        _ => writeln!(
            out,
            "{total}, and {unknown} runs of which no finished run tells the speed; evaluation not counted"
        ),
    }?;
    Ok(out)
}

/// Training seconds of a run: its budget, or its tokens at the speed of a finished run that differs
/// in its seed or its budget alone.
fn estimate(run: &RunSpec, plan: &Plan, records: &[RunRecord]) -> Option<f64> {
    if let Budget::Seconds(seconds) = run.config.training.budget {
        return Some(seconds);
    }
    let tokens = run.budget_tokens(&plan.corpus)? as f64;
    let alike = |record: &&RunRecord| {
        ["/output", "/backbone", "/device", "/training/batch", "/training/bptt", "/training/threads"]
            .iter()
            .all(|place| record.run.config.pointer(place) == run.json.pointer(place))
    };
    let speeds =
        records.iter().filter(alike).filter_map(|record| Some(record.result()?.train_tokens_per_second));
    speeds.filter(|speed| speed.is_finite() && *speed > 0.0).map(|speed| tokens / speed).next()
}

fn budget(budget: Budget) -> String {
    match budget {
        Budget::Seconds(seconds) => format!("{seconds} s"),
        Budget::Tokens(tokens) => format!("{tokens} tokens"),
        Budget::Epochs(epochs) => format!("{epochs} epochs"),
    }
}

fn minutes(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
