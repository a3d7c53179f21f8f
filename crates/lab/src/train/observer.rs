//! What a run tells while it goes on, and how it is told to stop.

use serde::{Deserialize, Serialize};

/// News of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Training goes on.
    Training {
        /// Share of the budget used, 0 to 1.
        share: f64,
        /// Steps taken.
        step: u64,
        /// Training tokens a second, set-up left out.
        rate: Option<f64>,
        /// Mean training loss of the step's targets that count, in nats.
        loss: Option<f64>,
        /// Last exact validation perplexity.
        valid_perplexity: Option<f64>,
    },
    /// A split is being scored.
    Evaluating {
        /// `valid` or `test`.
        split: String,
        /// Share of its tokens scored, 0 to 1.
        share: f64,
    },
    /// Training resumed from a checkpoint.
    Resumed {
        /// Its step.
        step: u64,
    },
    /// The run's process has nothing more to do.
    Ended(RunEnd),
}

/// End of a run, as its process tells it or as its runner finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum RunEnd {
    /// The record is written, of a result or of a failure.
    Recorded,
    /// The run failed, and the finished record of an earlier time stays.
    Kept {
        /// Why it failed.
        error: String,
        /// Training step at which it broke, where known.
        step: Option<u64>,
    },
    /// The run was told to stop; its checkpoint is written, where it had come so far.
    Stopped {
        /// The signal that told it, where one did.
        signal: Option<i32>,
    },
    /// The process ended without a word: why.
    Broken {
        /// Its status, and the end of what it said on standard error.
        error: String,
    },
}

/// Receives the news of a run and may stop it.
pub trait Observer {
    /// Called several times a second at most.
    fn tell(&mut self, event: Event);

    /// Whether the run shall stop at the next step boundary.
    fn stop(&self) -> bool;

    /// The signal that asks for the stop, where one does.
    fn signal(&self) -> Option<i32> {
        None
    }
}
