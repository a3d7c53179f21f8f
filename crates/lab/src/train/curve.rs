//! The learning curve: when a point is due, and what it holds.

use std::time::Instant;

use lexmax_corpus::Split;
use lexmax_records::CurvePoint;

use super::{BudgetUse, EVENT_INTERVAL, Event, MeanLoss, Observer, Trainer};
use crate::evaluate::{Score, Text, score};
use crate::{LabError, Result};

impl Trainer<'_> {
    fn used(&self) -> BudgetUse {
        BudgetUse {
            seconds: self.progress.train_seconds,
            tokens: self.progress.tokens,
            tokens_per_pass: self.streams.targets_per_pass() as u64,
        }
    }

    pub(super) fn share(&self) -> f64 {
        self.used().share(self.config.training.budget)
    }

    /// A point is due when the schedule passed one, and always at the end of the budget.
    pub(super) fn point_due(&self) -> bool {
        let scored = self.progress.curve.last().map(|point| point.step);
        let new = scored != Some(self.progress.step) && self.progress.step > 0;
        new && (self.share() >= 1.0 || self.used().points(&self.config.training) > self.progress.points)
    }

    /// Scores a curve point and lets the learning rate follow it; false when the observer stopped
    /// it.
    pub(super) fn add_point(&mut self, observer: &mut dyn Observer) -> Result<bool> {
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
            train_loss: progress.loss.mean().unwrap_or(f64::NAN),
            valid_nll,
            valid_tokens: score.nll.tokens(),
            learning_rate: progress.learning_rate,
        });
        progress.loss = MeanLoss::default();
        if let Some(plateau) = &mut progress.plateau {
            progress.learning_rate = plateau.observe(valid_nll);
        }
        self.progress.points = self.used().points(&self.config.training);
        Ok(true)
    }

    /// Exact score of a split, of its first `most` tokens where given; `None` when the observer
    /// stopped it.
    ///
    /// # Errors
    /// A split without a pair of tokens or with ignored targets alone, or hidden states that are
    /// not finite.
    pub fn score(
        &self,
        split: Split,
        most: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Score>> {
        let tokens = self.corpus.tokens(split);
        let tokens = &tokens[..most.unwrap_or(tokens.len()).min(tokens.len())];
        let truth = self.corpus.true_log_probs(split);
        let mut last_event = Instant::now();
        let ignored = self.config.output.loss_options().ignore_index;
        let text = Text { tokens, truth, ignored, batch: self.config.training.eval_batch };
        score(&self.learner.model, &text, &mut |share| {
            if last_event.elapsed() >= EVENT_INTERVAL {
                last_event = Instant::now();
                observer.tell(Event::Evaluating { split: split.to_string(), share });
            }
            !observer.stop()
        })
    }

    /// Progress for the observer. JSON has no word for numbers that are not finite, so those are
    /// left out.
    pub(super) fn progress_event(&self, loss: MeanLoss) -> Event {
        let progress = &self.progress;
        Event::Training {
            share: self.share().min(1.0),
            step: progress.step,
            rate: Some(progress.tokens as f64 / (progress.train_seconds - progress.setup_seconds))
                .filter(|rate| rate.is_finite()),
            loss: loss.mean().filter(|loss| loss.is_finite()),
            valid_perplexity: progress
                .curve
                .last()
                .map(|point| point.valid_nll.exp())
                .filter(|ppl| ppl.is_finite()),
        }
    }
}
