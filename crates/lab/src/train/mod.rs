//! Training of one run, resumable bit for bit where the budget counts tokens or epochs.

mod curve;
mod learner;
mod mean_loss;
mod model;
mod observer;
mod schedule;
#[cfg(test)]
mod sparse_tests;
mod step;
#[cfg(test)]
mod tests;
mod timings;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lexmax_corpus::{Corpus, Split};
use lexmax_optim::Plateau;
use lexmax_output::WordCounts;
use lexmax_records::RunId;
use tch::Tensor;

pub use learner::Learner;
pub use mean_loss::MeanLoss;
pub use model::Model;
pub use observer::{Event, Observer, RunEnd};
pub use schedule::BudgetUse;
pub use timings::Timings;

use crate::backbone::State;
use crate::batch::Streams;
use crate::checkpoint::{Checkpoint, Progress, SavedRun};
use crate::machine::{OwnMemory, parse_device};
use crate::plan::RunConfig;
use crate::{LabError, Result};

/// Seconds between checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Least time between two progress events.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);

/// End of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingEnd {
    /// The budget is used up.
    BudgetUsed,
    /// The observer asked to stop; the checkpoint is written.
    Stopped,
}

/// One run: model, optimizer and where training stands.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// Model and optimizer.
    pub learner: Learner,
    /// Progress of the training.
    pub progress: Progress,
    config: &'a RunConfig,
    corpus: &'a Corpus,
    streams: Streams<'a>,
    state: Option<State>,
    checkpoint: PathBuf,
    saved: Instant,
    last_event: Instant,
    memory: OwnMemory,
}

impl<'a> Trainer<'a> {
    /// Builds the model of a run and, where its checkpoint exists, goes on from there.
    ///
    /// # Errors
    /// An option that is refused, a corpus too short for the batch, a checkpoint of another run.
    pub fn new(config: &'a RunConfig, id: &RunId, corpus: &'a Corpus, checkpoint: PathBuf) -> Result<Self> {
        let device = parse_device(&config.device)?;
        let training = &config.training;
        let counts = WordCounts::new(corpus.vocab().counts().to_vec())?;
        let saved = SavedRun::open(&checkpoint, id)?;
        let began_with = saved.as_ref().and_then(|saved| saved.progress.products.as_deref());
        let products = began_with
            .map(|name| lexmax_products::by_name(name, "library of matrix products"))
            .transpose()
            .map_err(|error| LabError::Checkpoint { path: checkpoint.clone(), message: error.to_string() })?;
        let learner = Learner::new(config, &counts, device, products)?;
        let setup_seconds = learner.model.setup_seconds;
        let tokens = corpus.tokens(Split::Train);
        let streams = Streams::new(tokens, training.batch).ok_or_else(|| LabError::CorpusUse {
            name: corpus.name().to_owned(),
            message: format!("{} training tokens do not make {} streams of 2", tokens.len(), training.batch),
        })?;
        let plateau =
            training.plateau.map(|plateau| Plateau::new(training.learning_rate, plateau)).transpose()?;
        let progress = Progress {
            id: id.clone(),
            step: 0,
            tokens: 0,
            row: 0,
            train_seconds: setup_seconds,
            setup_seconds,
            loss: MeanLoss::default(),
            learning_rate: training.learning_rate,
            plateau,
            points: 0,
            curve: Vec::new(),
            products: learner.model.products.map(str::to_owned),
        };
        let now = Instant::now();
        let mut trainer = Self {
            learner,
            progress,
            config,
            corpus,
            streams,
            state: None,
            checkpoint,
            saved: now,
            last_event: now,
            memory: OwnMemory::default(),
        };
        if let Some(saved) = saved {
            trainer.resume(saved)?;
        }
        Ok(trainer)
    }

    fn resume(&mut self, saved: SavedRun) -> Result<()> {
        self.check_fits(&saved)
            .map_err(|message| LabError::Checkpoint { path: self.checkpoint.clone(), message })?;
        saved.restore(&self.learner.parameters, &mut self.learner.optimizer)?;
        let device = self.learner.model.device();
        let on_device = |state: State| -> Result<State> {
            Ok(state.iter().map(|tensor| tensor.f_to(device)).collect::<std::result::Result<_, _>>()?)
        };
        self.state = saved.state.map(on_device).transpose()?;
        self.progress = saved.progress;
        self.progress.products = self.learner.model.products.map(str::to_owned);
        // A layer that adapts to its parameters does so to the restored ones.
        self.learner.model.layer.refresh()?;
        Ok(())
    }

    /// Checks what neither parameters nor optimizer state tell: where in the text it stands, and
    /// the carried state.
    fn check_fits(&self, saved: &SavedRun) -> std::result::Result<(), String> {
        let (row, rows) = (saved.progress.row, self.streams.rows());
        if row >= rows {
            return Err(format!("it stands at row {row}, expected one of the {rows} of a pass"));
        }
        let backbone = &self.learner.model.backbone;
        match &saved.state {
            None if row == 0 => Ok(()),
            None => Err(format!("it stands at row {row} without a carried state, expected one")),
            Some(state) if backbone.takes_state(state, self.streams.batch() as i64) => Ok(()),
            Some(state) => {
                let found: Vec<_> = state.iter().map(|tensor| (tensor.size(), tensor.kind())).collect();
                Err(format!("a carried state {found:?}, expected the one of this backbone"))
            }
        }
    }

    /// Trains until the budget is used up or the observer stops it, scoring curve points on the
    /// way.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, or a layer that refuses its input, with the step.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<TrainingEnd> {
        if self.progress.step > 0 {
            observer.tell(Event::Resumed { step: self.progress.step });
        }
        loop {
            if self.point_due() && !self.add_point(observer)? {
                return self.stop();
            }
            if self.share() >= 1.0 {
                return Ok(TrainingEnd::BudgetUsed);
            }
            if observer.stop() {
                return self.stop();
            }
            let loss = self.step()?;
            self.memory.look();
            if self.last_event.elapsed() >= EVENT_INTERVAL {
                self.last_event = Instant::now();
                observer.tell(self.progress_event(loss));
            }
            if self.saved.elapsed() >= CHECKPOINT_EVERY {
                self.save()?;
            }
        }
    }

    /// Rows of a full training window, `T B`.
    pub fn step_rows(&self) -> u64 {
        (self.config.training.bptt.min(self.streams.rows()) * self.streams.batch()) as u64
    }

    /// The largest memory of the process's own so far, in bytes; `None` where the system does not
    /// tell.
    pub fn peak_memory(&mut self) -> Option<u64> {
        self.memory.look_now();
        self.memory.peak()
    }

    /// Probability that the gradient filter left out of the last step, mean over the rows that
    /// count; `None` where nothing is filtered.
    pub fn dropped_mass(&self) -> Option<f64> {
        let layer = &self.learner.model.layer;
        let rows = |entries: u64| entries as f64 / layer.vocab_size() as f64;
        let filtered = layer.left_out().filter(|filtered| filtered.entries > 0)?;
        Some(filtered.dropped_mass / rows(filtered.entries))
    }

    fn stop(&mut self) -> Result<TrainingEnd> {
        self.save()?;
        Ok(TrainingEnd::Stopped)
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// The file system refused.
    pub fn save(&mut self) -> Result<()> {
        let copy = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.shallow_clone());
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            parameters: self.learner.parameters.iter().map(copy).collect(),
            optimizer: self.learner.optimizer.state_handles(),
            state: self.state.as_ref().map(|state| state.iter().map(Tensor::shallow_clone).collect()),
        };
        checkpoint.save(&self.checkpoint)?;
        self.saved = Instant::now();
        Ok(())
    }
}
