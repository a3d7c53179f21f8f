//! Progress events of a run, and the observer that receives them and may stop it.

use serde::{Deserialize, Serialize};

/// Progress event of a run.
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

/// End of a run, reported by its process or found by its runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum RunEnd {
    /// The record is written, of a result or of a failure.
    Recorded,
    /// The run failed, and the finished record of an earlier time stays.
    Kept {
        /// Cause of the failure.
        error: String,
        /// Training step at which it broke, where known.
        step: Option<u64>,
    },
    /// The run was asked to stop; its checkpoint is written, where it had come so far.
    Stopped {
        /// Signal that stopped it, if any.
        signal: Option<i32>,
    },
    /// The process ended without an end event.
    Broken {
        /// Exit status, and the end of its standard error.
        error: String,
    },
}

/// Receives the progress events of a run and may stop it.
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
