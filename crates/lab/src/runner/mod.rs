//! All runs of a plan, one process after the other, with progress, skipping what is finished.

mod child;
mod display;
mod source;
mod superseded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use lexmax_records::{Contents, RunHeader, RunId, RunRecord, RunStatus, RunStore, Skipped};

use crate::interrupts;
use crate::machine::environment;
use crate::plan::{Plan, RunSpec};
use crate::worker::{Job, RunEnd};
use crate::{LabError, Result, machine};
use child::run_child;
use display::Display;

pub use source::check_results;

/// Options of running a plan.
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

/// Counts of a plan's runs by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Runs that ended with a result now.
    pub finished: usize,
    /// Runs that ended with an error now.
    pub failed: usize,
    /// Runs that were finished before.
    pub skipped: usize,
    /// Runs left because the user, or the system, stopped.
    pub left: usize,
    /// The signal that stopped them, where one did.
    pub signal: Option<i32>,
}

/// Runs a plan. Ctrl-C, SIGTERM or SIGHUP end the current run at its next step, with a checkpoint
/// that a later call resumes from; a second Ctrl-C ends it at once.
///
/// # Errors
/// An unknown name in `only`; a chosen run that is certain to fail ([`RunSpec::refusal`]), before
/// any is started; another runner at work on the same results; results of another experiment file
/// of the same name; a results folder that cannot be written. A run that fails is no error: it is
/// counted and recorded.
pub fn run_plan(plan: &Plan, options: &RunOptions) -> Result<Outcome> {
    let chosen = plan.only(&options.only)?;
    refuse(plan, &chosen)?;
    lexmax_products::chosen()?;
    let store = RunStore::open(&options.results);
    let _lock = lock(&options.results)?;
    check_results(plan, &options.results)?;
    let set_aside = superseded::tidy(plan, &options.results)?;
    interrupts::catch_interrupts();
    let interrupts = interrupts::asked();
    let mut outcome = Outcome::default();
    let mut waiting = Vec::new();
    let (mut finished, unusable) = finished(&store)?;
    for run in chosen {
        match finished.remove(&run.id) {
            Some(record) if !options.again => {
                outcome.skipped += 1;
                rename(record, plan, run, &store)?;
            }
            _ => waiting.push(run),
        }
    }
    let mut display = Display::new(waiting.len());
    for Skipped { path, reason } in unusable {
        display.note(&format!("{} is left alone: {reason}", path.display()));
    }
    if set_aside > 0 {
        display.note(&format!("{set_aside} records of other configurations moved to superseded/"));
    }
    if outcome.skipped > 0 {
        display.note(&format!("{} runs are finished already", outcome.skipped));
    }
    for (done, run) in waiting.iter().enumerate() {
        if interrupts.load(Ordering::Relaxed) > 0 {
            outcome.left = waiting.len() - done;
            outcome.signal = interrupts::first();
            break;
        }
        display.start(done, run);
        let header = header(plan, run, options);
        let job = Job {
            corpus_dir: plan.corpus_dir.clone(),
            results: options.results.clone(),
            run: header.clone(),
        };
        let failed = |error, step| header.ended(RunStatus::Failed { error, step }, Vec::new());
        let ended = run_child(&options.worker, &job, interrupts, &mut |event| display.event(&event))?;
        let (record, kept) = match ended {
            RunEnd::Recorded => match store.read(&run.id)? {
                Some(written) => (written, false),
                None => (failed("its record is gone".to_owned(), None), false),
            },
            RunEnd::Kept { error, step } => (failed(error, step), true),
            RunEnd::Stopped { signal } => {
                outcome.left = waiting.len() - done;
                outcome.signal = interrupts::first().or(signal);
                break;
            }
            RunEnd::Broken { error } => {
                let record = failed(error, display.last_step());
                let kept = !store.write_unless_worse(&record)?;
                (record, kept)
            }
        };
        match record.status {
            RunStatus::Finished(_) => outcome.finished += 1,
            RunStatus::Failed { .. } => outcome.failed += 1,
        }
        display.end(done, &record, kept);
    }
    display.close();
    Ok(outcome)
}

/// Records of finished runs, and the files among them that are none.
fn finished(store: &RunStore) -> Result<(BTreeMap<RunId, RunRecord>, Vec<Skipped>)> {
    let Contents { stored, skipped } = store.read_all()?;
    let records = stored.into_iter().map(|stored| stored.record);
    let finished = records.filter(|record| record.result().is_some());
    Ok((finished.map(|record| (record.run.id.clone(), record)).collect(), skipped))
}

/// Refuses runs that are certain to fail, and with them the others: their mistakes are to be mended
/// first.
fn refuse(plan: &Plan, runs: &[&RunSpec]) -> Result<()> {
    let mut refused: Vec<(&str, &str)> = Vec::new();
    for run in runs {
        if let Some(why) = &run.refusal
            && !refused.iter().any(|(name, _)| *name == run.name)
        {
            refused.push((&run.name, why));
        }
    }
    let place = |name: &str| format!("output `{name}`");
    let config = |place, message| LabError::Config { file: plan.file.clone(), place, message };
    match refused.as_slice() {
        [] => Ok(()),
        [(name, why)] => Err(config(place(name), (*why).to_owned())),
        several => {
            let lines = several.iter().map(|(name, why)| format!("\n  {}: {why}", place(name)));
            let message = format!(
                "no run was started, because these are certain to fail:{}",
                lines.collect::<String>()
            );
            Err(config(format!("{} outputs", several.len()), message))
        }
    }
}

/// A finished run whose output has another name now is shown by that.
fn rename(mut record: RunRecord, plan: &Plan, run: &RunSpec, store: &RunStore) -> Result<()> {
    if record.run.name != run.name || record.run.experiment != plan.experiment {
        record.run.name.clone_from(&run.name);
        record.run.experiment.clone_from(&plan.experiment);
        store.write(&record)?;
    }
    Ok(())
}

/// Facts of a run that are known before it starts.
fn header(plan: &Plan, run: &RunSpec, options: &RunOptions) -> RunHeader {
    let config = &run.config;
    let threads = config.training.threads.unwrap_or_else(machine::cores);
    let dtype = config.training.dtype.name();
    RunHeader {
        id: run.id.clone(),
        experiment: plan.experiment.clone(),
        experiment_file: source::relative(&plan.file, &options.results),
        name: run.name.clone(),
        family: config.output.family().to_owned(),
        seed: config.seed,
        config: run.json.clone(),
        environment: environment(options.commit.clone(), threads, &config.device, dtype),
        corpus: plan.corpus.clone(),
        started_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

/// Two runners on one results folder would do every run twice. The lock goes with the process,
/// however it ends.
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
