//! All runs of a plan, one process after the other, with progress, skipping what is finished.

mod child;
mod display;
mod superseded;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use lexmax_records::{RunRecord, RunStatus, RunStore, SCHEMA_VERSION};

use crate::interrupts;
use crate::machine::environment;
use crate::plan::{Plan, RunSpec};
use crate::worker::Job;
use crate::{LabError, Result};
use child::{ChildEnd, run_child};
use display::Display;

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of the experiment's results.
    pub results: PathBuf,
    /// Names of the outputs to run; all where empty.
    pub only: Vec<String>,
    /// Whether finished runs are done again. Their records stay until there are new results.
    pub again: bool,
    /// Commit of the sources that the program was built from, for the records.
    pub commit: Option<String>,
    /// Program and arguments that start a run's process; it must call [`crate::run_worker`].
    pub worker: (PathBuf, Vec<String>),
}

/// What became of the runs of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Runs that ended with a result now.
    pub finished: usize,
    /// Runs that ended with an error now.
    pub failed: usize,
    /// Runs that were finished before.
    pub skipped: usize,
    /// Runs left because the user stopped.
    pub left: usize,
}

/// Runs a plan. Ctrl-C ends the current run at its next step, with a checkpoint that a later call resumes from; a second
/// Ctrl-C ends it at once.
///
/// # Errors
/// An unknown name in `only`; another runner at work on the same results; a results folder that cannot be written. A run
/// that fails is no error: it is counted and recorded.
pub fn run_plan(plan: &Plan, options: &RunOptions) -> Result<Outcome> {
    let chosen = plan.only(&options.only)?;
    let _lock = lock(&options.results)?;
    let store = RunStore::open(&options.results);
    let set_aside = superseded::tidy(plan, &options.results)?;
    interrupts::catch_interrupts();
    let interrupts = interrupts::counted();
    let mut outcome = Outcome::default();
    let mut waiting = Vec::new();
    for run in chosen {
        match store.read(&run.id)? {
            Some(record) if record.status == RunStatus::Finished && !options.again => {
                outcome.skipped += 1;
                rename(record, plan, run, &store)?;
            }
            _ => waiting.push(run),
        }
    }
    let mut display = Display::new(waiting.len());
    if set_aside > 0 {
        display.note(&format!("{set_aside} records of other configurations moved to superseded/"));
    }
    if outcome.skipped > 0 {
        display.note(&format!("{} runs are finished already", outcome.skipped));
    }
    for (done, run) in waiting.iter().enumerate() {
        if interrupts.load(Ordering::Relaxed) > 0 {
            outcome.left = waiting.len() - done;
            break;
        }
        display.start(done, run);
        let mut record = blank_record(plan, run, options.commit.clone());
        let mut kept = false;
        let job = Job {
            corpus_dir: plan.corpus_dir.clone(),
            results: options.results.clone(),
            record: record.clone(),
        };
        let ended = run_child(&options.worker, &job, interrupts, &mut |event| display.event(&event))?;
        match ended {
            ChildEnd::Recorded => {
                if let Some(written) = store.read(&run.id)? {
                    record = written;
                }
            }
            ChildEnd::Kept { error, step } => {
                record.status = RunStatus::Failed { error, step };
                kept = true;
            }
            ChildEnd::Stopped => {
                outcome.left = waiting.len() - done;
                break;
            }
            ChildEnd::Broken(error) => {
                record.status = RunStatus::Failed { error, step: display.last_step() };
                kept = !store.write_unless_worse(&record)?;
            }
        }
        match record.status {
            RunStatus::Finished => outcome.finished += 1,
            RunStatus::Failed { .. } => outcome.failed += 1,
        }
        display.end(done, &record, kept);
    }
    display.close();
    Ok(outcome)
}

/// A finished run whose output has another name now is shown by that.
fn rename(mut record: RunRecord, plan: &Plan, run: &RunSpec, store: &RunStore) -> Result<()> {
    if record.output != run.output || record.experiment != plan.experiment {
        record.output.clone_from(&run.output);
        record.experiment.clone_from(&plan.experiment);
        store.write(&record)?;
    }
    Ok(())
}

/// The record of a run before it starts: a failure, until the run says otherwise.
fn blank_record(plan: &Plan, run: &RunSpec, commit: Option<String>) -> RunRecord {
    let config = &run.config;
    let threads = config.training.threads.unwrap_or(1);
    RunRecord {
        schema: SCHEMA_VERSION,
        id: run.id.clone(),
        experiment: plan.experiment.clone(),
        output: run.output.clone(),
        family: config.output.family().to_owned(),
        seed: config.seed,
        config: run.json.clone(),
        environment: environment(commit, threads, &config.device, config.training.dtype.name()),
        corpus: plan.corpus.clone(),
        started_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        status: RunStatus::Failed { error: "the run has not ended".to_owned(), step: None },
        curve: Vec::new(),
        result: None,
    }
}

/// Two runners on one results folder would do every run twice. The lock goes with the process, however it ends.
fn lock(results: &Path) -> Result<std::fs::File> {
    let folder = results.join("checkpoints");
    std::fs::create_dir_all(&folder).map_err(LabError::io("make the folder", &folder))?;
    let path = folder.join("lock");
    let file = std::fs::File::create(&path).map_err(LabError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let busy = std::io::Error::new(
                std::io::ErrorKind::ResourceBusy,
                "another `lexmax run` is at work there",
            );
            Err(LabError::io("lock", results)(busy))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(LabError::io("lock", &path)(error)),
    }
}
