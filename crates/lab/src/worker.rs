//! One run from start to record, in a process of its own: the job on standard input, progress on
//! standard output.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lexmax_corpus::{Corpus, Split};
use lexmax_output::ComputePath;
use lexmax_records::{CurvePoint, LossPath, RunHeader, RunResult, RunStatus, RunStore};
use serde::{Deserialize, Serialize};

use crate::plan::RunConfig;
use crate::train::{Observer, Trainer, TrainingEnd};
use crate::{LabError, Result, allocator, checkpoint, interrupts};

pub use crate::train::{Event, RunEnd};

/// Job of a run's process, one line of JSON on its standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The corpus directory.
    pub corpus_dir: PathBuf,
    /// Folder of the experiment's results.
    pub results: PathBuf,
    /// Facts known before the run, for its record; their configuration says what to do.
    pub run: RunHeader,
}

/// Reads a job from standard input and does it. Standard input stays open as long as the run is
/// wanted: its end, Ctrl-C, SIGTERM or SIGHUP stop the run at the next step with its checkpoint
/// written.
///
/// # Errors
/// A job that cannot be read, a record that cannot be written. A run that fails is no error: its
/// record says so.
pub fn run_worker() -> Result<()> {
    allocator::keep_freed_memory();
    let mut line = String::new();
    let protocol = |message: String| LabError::Protocol { what: "job", message };
    let signal = interrupts::note().map_err(|error| protocol(error.to_string()))?;
    std::io::stdin().lock().read_line(&mut line).map_err(|error| protocol(error.to_string()))?;
    let job: Job = serde_json::from_str(&line).map_err(|error| protocol(error.to_string()))?;
    let unwanted = Arc::new(AtomicBool::new(false));
    let by_parent = Arc::clone(&unwanted);
    std::thread::spawn(move || {
        // Nothing more is sent: this returns when the other end is closed or its process is gone.
        let mut rest = String::new();
        let _ = std::io::stdin().lock().read_line(&mut rest);
        by_parent.store(true, Ordering::Relaxed);
    });
    let mut pipe = Pipe { unwanted, signal };
    let end = do_job(job, &mut pipe)?;
    pipe.tell(Event::Ended(end));
    Ok(())
}

/// Progress events as lines of JSON on standard output.
struct Pipe {
    /// Whether the parent wants no more of the run.
    unwanted: Arc<AtomicBool>,
    /// The signal that asked this process to end; 0 before.
    signal: Arc<AtomicUsize>,
}

impl Observer for Pipe {
    fn tell(&mut self, event: Event) {
        let line = serde_json::to_string(&event).unwrap_or_default();
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            // Nobody listens any more.
            self.unwanted.store(true, Ordering::Relaxed);
        }
    }

    fn stop(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed) || self.signal.load(Ordering::Relaxed) != 0
    }

    fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }
}

/// Trains, scores, measures and records one run.
fn do_job(job: Job, observer: &mut dyn Observer) -> Result<RunEnd> {
    let store = RunStore::open(&job.results);
    let Job { corpus_dir, results, mut run } = job;
    let checkpoint = checkpoint::path(&results, &run.id);
    let config: RunConfig = serde_json::from_value(run.config.clone())
        .map_err(|error| LabError::Protocol { what: "job", message: error.to_string() })?;
    tch::set_num_threads(i32::try_from(run.environment.threads).unwrap_or(i32::MAX));
    let corpus = Corpus::open(&corpus_dir)?;
    let mut curve = Vec::new();
    let outcome = train_and_score(&config, &corpus, &mut run, &mut curve, checkpoint.clone(), observer);
    let status = match outcome {
        Ok(Some(result)) => RunStatus::Finished(result),
        Ok(None) => {
            return Ok(RunEnd::Stopped { signal: observer.signal() });
        }
        Err(error) => {
            let mut message = error.to_string();
            match error {
                // From there it would diverge again.
                LabError::Diverged { .. } => drop(std::fs::remove_file(&checkpoint)),
                // What cannot be read is kept for a look at it, out of the way of the next call.
                LabError::Checkpoint { .. } => {
                    let aside = checkpoint.with_extension("damaged");
                    if std::fs::rename(&checkpoint, &aside).is_ok() {
                        let aside = aside.display();
                        message = format!(
                            "{message}; it is {aside} now, and the next call starts from the beginning"
                        );
                    }
                }
                // The next call goes on from the last checkpoint: hours of training do not go with
                // a full memory.
                _ => {}
            }
            RunStatus::Failed { error: message, step: error.step() }
        }
    };
    let record = run.ended(status, curve);
    let written = store.write_unless_worse(&record)?;
    if record.result().is_some() {
        let _ = std::fs::remove_file(checkpoint);
    }
    Ok(match record.status {
        RunStatus::Failed { error, step } if !written => RunEnd::Kept { error, step },
        _ => RunEnd::Recorded,
    })
}

/// The result of a run, `None` when it was stopped. `curve` gets the points there are, whatever
/// happens, and the header the library of products that the run has.
fn train_and_score(
    config: &RunConfig,
    corpus: &Corpus,
    run: &mut RunHeader,
    curve: &mut Vec<CurvePoint>,
    checkpoint: PathBuf,
    observer: &mut dyn Observer,
) -> Result<Option<RunResult>> {
    let mut trainer = Trainer::new(config, &run.id, corpus, checkpoint)?;
    run.environment.products.clone_from(&trainer.progress.products);
    let ended = trainer.run(observer);
    curve.clone_from(&trainer.progress.curve);
    if ended? == TrainingEnd::Stopped {
        return Ok(None);
    }
    if trainer.progress.step == 0 {
        return Err(LabError::NothingTrained { setup_seconds: trainer.progress.setup_seconds });
    }
    // Scoring can take longer than training: a run that is stopped in it need not train again.
    trainer.save()?;
    let last_point = trainer.progress.curve.last();
    let training = &config.training;
    // The last point of the curve stands for the final score where it was made on the same tokens.
    let valid_nll = match last_point.filter(|_| training.valid_tokens == training.max_valid_tokens) {
        Some(point) => point.valid_nll,
        None => match trainer.score(Split::Valid, training.max_valid_tokens, observer)? {
            Some(score) => score.nll.nll(),
            None => return Ok(None),
        },
    };
    let Some(test) = trainer.score(Split::Test, config.training.max_test_tokens, observer)? else {
        return Ok(None);
    };
    // Before the timings below, which are no part of training or evaluation.
    let peak_memory_bytes = trainer.peak_memory();
    let dropped_mass = trainer.dropped_mass();
    let timings = trainer.time_layer()?;
    let progress = &trainer.progress;
    let cost = trainer.learner.model.layer.cost(trainer.step_rows());
    Ok(Some(RunResult {
        valid_nll,
        true_test_nll: test.true_nats.map(|nats| nats / test.nll.tokens() as f64),
        train_seconds: progress.train_seconds,
        setup_seconds: progress.setup_seconds,
        steps: progress.step,
        tokens: progress.tokens,
        train_tokens_per_second: progress.tokens as f64 / (progress.train_seconds - progress.setup_seconds),
        eval_tokens_per_second: test.nll.tokens() as f64 / test.seconds,
        layer_ms: timings.layer_ms_per_step,
        gflop_per_step: Some(cost.train.flops / 1e9),
        dropped_mass,
        compute_path: Some(match trainer.learner.model.layer.compute_path() {
            ComputePath::Fused => LossPath::Fused,
            ComputePath::Chunked => LossPath::Chunked,
            ComputePath::Reference => LossPath::Reference,
        }),
        top_k_ms: timings.top_k_ms,
        top_k_rows: timings.top_k_rows,
        parameters: trainer.learner.model.parameter_count(),
        layer_parameters: cost.parameters,
        peak_memory_bytes,
        eval_batch: training.eval_batch as u64,
        ignored_class: config.output.loss_options().ignore_index,
        ignored_test_tokens: test.ignored,
        test: test.nll,
    }))
}
