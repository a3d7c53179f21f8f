//! Training of one run, resumable bit for bit where the budget counts tokens or epochs.

mod model;
mod observer;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lexmax_corpus::{Corpus, Split};
use lexmax_kernels::seed::generator;
use lexmax_optim::{Optimizer, Plateau, clip_grad_norm};
use lexmax_output::WordCounts;
use lexmax_records::{CurvePoint, RunId};
use tch::Tensor;

pub use model::Model;
pub use observer::{Event, Observer};
pub use schedule::Used;

use crate::backbone::{Dropout, State};
use crate::batch::Streams;
use crate::checkpoint::{self, Checkpoint, Progress};
use crate::evaluate::{Score, score};
use crate::machine::{parse_device, synchronize};
use crate::measure::{layer_ms, top_k_ms};
use crate::plan::RunConfig;
use crate::{LabError, Result};

/// Seconds between checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Least seconds between two pieces of news.
const NEWS_EVERY: Duration = Duration::from_millis(200);

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The budget is used up.
    BudgetUsed,
    /// The observer asked to stop; the checkpoint is written.
    Stopped,
}

/// Timings of an output layer on a real batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timings {
    /// Milliseconds of loss and gradients.
    pub layer_ms_per_step: f64,
    /// Milliseconds of an exact top 10.
    pub top_k_ms: f64,
    /// Rows of that query.
    pub top_k_rows: u64,
}

/// One run: model, optimizer and where training stands.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// The model.
    pub model: Model,
    /// Where training stands.
    pub progress: Progress,
    config: &'a RunConfig,
    corpus: &'a Corpus,
    streams: Streams<'a>,
    parameters: Vec<(String, Tensor)>,
    optimizer: Optimizer,
    state: Option<State>,
    checkpoint: PathBuf,
    saved: Instant,
    told: Instant,
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
        let model = Model::new(config, &counts, device)?;
        let parameters = model.parameters();
        let copies = parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let optimizer = Optimizer::new(copies, &training.optimizer)?;
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
            train_seconds: model.setup_seconds,
            setup_seconds: model.setup_seconds,
            loss_sum: 0.0,
            loss_tokens: 0,
            learning_rate: training.learning_rate,
            plateau,
            points: 0,
            curve: Vec::new(),
        };
        let now = Instant::now();
        let mut trainer = Self {
            model,
            progress,
            config,
            corpus,
            streams,
            parameters,
            optimizer,
            state: None,
            checkpoint,
            saved: now,
            told: now,
        };
        if let Some(saved) = Checkpoint::load(&trainer.checkpoint, id, device)? {
            trainer.resume(saved)?;
        }
        Ok(trainer)
    }

    fn resume(&mut self, saved: Checkpoint) -> Result<()> {
        checkpoint::restore(&self.checkpoint, &saved.parameters, &self.parameters)?;
        self.optimizer.load_state(&saved.optimizer)?;
        self.state = saved.state;
        self.progress = saved.progress;
        // A layer that adapts to its parameters does so to the restored ones.
        self.model.layer.refresh()?;
        Ok(())
    }

    /// Trains until the budget is used up or the observer stops it, scoring curve points on the way.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, or a layer that refuses its input, with the step.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Ended> {
        if self.progress.step > 0 {
            observer.tell(Event::Resumed { step: self.progress.step });
        }
        loop {
            if self.point_due() && !self.add_point(observer)? {
                return self.stop();
            }
            if self.share() >= 1.0 {
                return Ok(Ended::BudgetUsed);
            }
            if observer.stop() {
                return self.stop();
            }
            let loss = self.step()?;
            if self.told.elapsed() >= NEWS_EVERY {
                self.told = Instant::now();
                observer.tell(self.news(loss));
            }
            if self.saved.elapsed() >= CHECKPOINT_EVERY {
                self.save()?;
            }
        }
    }

    fn stop(&mut self) -> Result<Ended> {
        self.save()?;
        Ok(Ended::Stopped)
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// The file system refused.
    pub fn save(&mut self) -> Result<()> {
        let copy = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.shallow_clone());
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            parameters: self.parameters.iter().map(copy).collect(),
            optimizer: self.optimizer.state(),
            state: self.state.as_ref().map(|state| state.iter().map(Tensor::shallow_clone).collect()),
        };
        checkpoint.save(&self.checkpoint)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// One step, timed; returns the loss in nats per token.
    fn step(&mut self) -> Result<f64> {
        let started = Instant::now();
        let step = self.progress.step + 1;
        let at_step = |error: LabError| match error {
            diverged @ LabError::Diverged { .. } => diverged,
            other => LabError::Step { step, source: Box::new(other) },
        };
        let (loss, rows) = self.update(step).map_err(at_step)?;
        let tokens = (rows * self.streams.batch()) as u64;
        self.progress.step = step;
        self.progress.tokens += tokens;
        self.progress.row += rows;
        self.progress.loss_sum += loss * tokens as f64;
        self.progress.loss_tokens += tokens;
        if self.progress.row >= self.streams.rows() {
            self.progress.row = 0;
            self.state = None;
        }
        if step % self.config.training.refresh_steps == 0 {
            self.model.layer.refresh().map_err(LabError::from).map_err(at_step)?;
        }
        synchronize(self.model.device());
        self.progress.train_seconds += started.elapsed().as_secs_f64();
        Ok(loss)
    }

    /// Loss, gradients and update of one window; returns the loss per token and the window's rows.
    fn update(&mut self, step: u64) -> Result<(f64, usize)> {
        let (training, seed) = (&self.config.training, self.config.seed);
        let window = self.streams.window(self.progress.row, training.bptt, self.model.device())?;
        self.optimizer.zero_grad()?;
        let mut dropout = Dropout::new(self.model.backbone.dropout(), seed, step);
        let (hidden, state) =
            self.model.backbone.forward(&window.inputs, self.state.as_ref(), Some(&mut dropout))?;
        let loss =
            self.model.layer.loss(&hidden, &window.targets, &mut generator(seed, "negatives", step))?;
        let value = loss.value()?;
        if !value.is_finite() {
            return Err(LabError::Diverged { step, what: "the training loss", value });
        }
        loss.backward()?;
        if let Some(clip) = training.clip {
            let norm = clip_grad_norm(&self.parameters, clip)?;
            if !norm.is_finite() {
                return Err(LabError::Diverged { step, what: "the norm of the gradients", value: norm });
            }
        }
        self.optimizer.step(self.progress.learning_rate)?;
        self.state = Some(state);
        let rows_counted = if self.model.sums_rows { window.targets.numel() as f64 } else { 1.0 };
        Ok((value / rows_counted, window.rows))
    }

    fn used(&self) -> Used {
        Used {
            seconds: self.progress.train_seconds,
            tokens: self.progress.tokens,
            tokens_per_pass: self.streams.targets_per_pass() as u64,
        }
    }

    fn share(&self) -> f64 {
        self.used().share(self.config.training.budget)
    }

    /// A point is due when the schedule passed one, and always at the end of the budget.
    fn point_due(&self) -> bool {
        let scored = self.progress.curve.last().map(|point| point.step);
        let new = scored != Some(self.progress.step) && self.progress.step > 0;
        new && (self.share() >= 1.0 || self.used().points(&self.config.training) > self.progress.points)
    }

    /// Scores a curve point and lets the learning rate follow it; false when the observer stopped it.
    fn add_point(&mut self, observer: &mut dyn Observer) -> Result<bool> {
        let step = self.progress.step;
        let score = self.score(Split::Valid, self.config.training.valid_tokens, observer);
        let Some(score) = score.map_err(|error| LabError::Step { step, source: Box::new(error) })? else {
            return Ok(false);
        };
        let valid_nll = score.nll.nll();
        let progress = &mut self.progress;
        progress.curve.push(CurvePoint {
            step,
            tokens: progress.tokens,
            train_seconds: progress.train_seconds,
            train_loss: progress.loss_sum / progress.loss_tokens as f64,
            valid_nll,
            valid_tokens: score.nll.tokens,
            learning_rate: progress.learning_rate,
        });
        (progress.loss_sum, progress.loss_tokens) = (0.0, 0);
        if let Some(plateau) = &mut progress.plateau {
            progress.learning_rate = plateau.observe(valid_nll);
        }
        self.progress.points = self.used().points(&self.config.training);
        Ok(true)
    }

    /// Exact score of a split, of its first `most` tokens where given; `None` when the observer stopped it.
    ///
    /// # Errors
    /// A split without a pair of tokens, or hidden states that are not finite.
    pub fn score(
        &self,
        split: Split,
        most: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Score>> {
        let tokens = self.corpus.tokens(split);
        let tokens = &tokens[..most.unwrap_or(tokens.len()).min(tokens.len())];
        let truth = self.corpus.true_log_probs(split);
        let mut told = Instant::now();
        score(&self.model, tokens, truth, self.config.training.eval_batch, &mut |share| {
            if told.elapsed() >= NEWS_EVERY {
                told = Instant::now();
                observer.tell(Event::Evaluating { split: split.to_string(), share });
            }
            !observer.stop()
        })
    }

    /// Times the output layer on the window that training stands at.
    ///
    /// # Errors
    /// libtorch or the layer refused.
    pub fn time_layer(&mut self) -> Result<Timings> {
        let window =
            self.streams.window(self.progress.row, self.config.training.bptt, self.model.device())?;
        let hidden = {
            let _guard = tch::no_grad_guard();
            self.model.backbone.forward(&window.inputs, self.state.as_ref(), None)?.0
        };
        let layer = self.model.layer.as_mut();
        let layer_ms_per_step =
            layer_ms(layer, &mut self.optimizer, &hidden, &window.targets, self.config.seed)?;
        let (top_k_ms, top_k_rows) = top_k_ms(layer, &hidden)?;
        Ok(Timings { layer_ms_per_step, top_k_ms, top_k_rows })
    }

    fn news(&self, loss: f64) -> Event {
        let progress = &self.progress;
        Event::Training {
            share: self.share().min(1.0),
            step: progress.step,
            rate: progress.tokens as f64 / (progress.train_seconds - progress.setup_seconds),
            loss: Some(loss),
            valid_perplexity: progress
                .curve
                .last()
                .map(|point| point.valid_nll.exp())
                .filter(|ppl| ppl.is_finite()),
        }
    }
}
