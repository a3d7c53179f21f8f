//! Progress of an experiment: bars with rate, loss, perplexity and time left on a terminal, one
//! line a finished run elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lexmax_records::{RunRecord, RunStatus};

use crate::plan::RunSpec;
use crate::worker::Event;

/// Positions of a bar that stands for a share.
const BAR: u64 = 1000;

/// Two bars: the run at work and the whole experiment.
#[derive(Debug)]
pub(crate) struct Display {
    bars: MultiProgress,
    run: ProgressBar,
    all: ProgressBar,
    runs: usize,
    /// Runs that ended, however.
    done: usize,
    started: Instant,
    run_started: Instant,
    /// Time of the current run's first training event, and its share then: a resumed run starts
    /// with some.
    first: Option<(Instant, f64)>,
    /// Wall seconds of the runs that finished, each as if it had been done whole.
    ended_seconds: Vec<f64>,
    last_step: Option<u64>,
}

impl Display {
    pub(crate) fn new(runs: usize) -> Self {
        // `stderr` draws nothing where standard error is no terminal.
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let run =
            bars.add(ProgressBar::new(BAR).with_style(style("{prefix} {wide_bar} {percent:>3}% {msg}")));
        let all =
            bars.add(ProgressBar::new(BAR).with_style(style("{prefix} {wide_bar} {percent:>3}% {msg}")));
        let now = Instant::now();
        let (started, run_started) = (now, now);
        Self {
            bars,
            run,
            all,
            runs,
            done: 0,
            started,
            run_started,
            first: None,
            ended_seconds: Vec::new(),
            last_step: None,
        }
    }

    /// A line that stays.
    pub(crate) fn note(&self, line: &str) {
        if self.bars.is_hidden() {
            // A terminal that was closed takes no more lines; that must not end the run.
            let _ = writeln!(std::io::stderr(), "{line}");
        } else {
            let _ = self.bars.println(line);
        }
    }

    pub(crate) fn start(&mut self, done: usize, run: &RunSpec) {
        self.run_started = Instant::now();
        (self.last_step, self.first) = (None, None);
        self.run.reset();
        self.run.set_prefix(format!("{} seed {}", run.name, run.config.seed));
        self.run.set_message("starting");
        self.all.set_prefix(format!("run {}/{}", done + 1, self.runs));
        self.show_all(done, 0.0);
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Training { share, step, rate, loss, valid_perplexity } => {
                self.last_step = Some(*step);
                self.run.set_position((share * BAR as f64) as u64);
                let loss = loss.map(|loss| format!(", loss {loss:.3}")).unwrap_or_default();
                let perplexity =
                    valid_perplexity.map(|ppl| format!(", valid ppl {ppl:.1}")).unwrap_or_default();
                let (from, before) = *self.first.get_or_insert((Instant::now(), *share));
                let left = time_left(from.elapsed(), before, *share);
                let rate = rate.map(|rate| format!("{rate:.0} tokens/s")).unwrap_or_default();
                self.run.set_message(format!("{rate}{loss}{perplexity}, {} left", short(left)));
                self.show_all(self.done, *share);
            }
            Event::Evaluating { split, share } => {
                self.run.set_message(format!("scoring {split}: {:.0} %", 100.0 * share));
            }
            Event::Resumed { step } => {
                self.last_step = Some(*step);
                self.run.set_message(format!("resumed at step {step}"));
            }
            Event::Ended(_) => {}
        }
    }

    /// Step of the run's last event.
    pub(crate) fn last_step(&self) -> Option<u64> {
        self.last_step
    }

    /// Tells how a run ended; `kept` where it failed and an earlier result stays.
    pub(crate) fn end(&mut self, done: usize, record: &RunRecord, kept: bool) {
        let before = self.first.map_or(0.0, |(_, before)| before);
        if record.result().is_some() && before < 0.9 {
            self.ended_seconds.push(self.run_started.elapsed().as_secs_f64() / (1.0 - before));
        }
        let what = match &record.status {
            RunStatus::Failed { error, .. } => {
                let stays = if kept { "; its finished record of before stays" } else { "" };
                format!("failed: {error}{stays}")
            }
            RunStatus::Finished(result) => {
                let excess = result.excess_nats().map(|nats| format!(" ({nats:.3} nats over the truth)"));
                format!(
                    "test perplexity {:.2}{}, {:.0} tokens/s, trained {:.1} s",
                    result.test.perplexity(),
                    excess.unwrap_or_default(),
                    result.train_tokens_per_second,
                    result.train_seconds,
                )
            }
        };
        self.note(&format!(
            "[{}/{}] {} seed {}: {what}",
            done + 1,
            self.runs,
            record.run.name,
            record.run.seed
        ));
        self.show_all(done + 1, 0.0);
    }

    pub(crate) fn close(&self) {
        self.run.finish_and_clear();
        self.all.finish_and_clear();
    }

    /// Time left for all runs: as long as those that ended took on average; the first run stands
    /// for the others until it has ended.
    fn show_all(&mut self, done: usize, share: f64) {
        self.done = done;
        let runs = self.runs.max(1) as f64;
        self.all.set_position(((done as f64 + share) / runs * BAR as f64) as u64);
        let each = match self.ended_seconds.len() {
            0 if share > 0.02 => {
                let before = self.first.map_or(0.0, |(_, before)| before);
                self.run_started.elapsed().as_secs_f64() / (share - before).max(0.01)
            }
            0 => {
                self.all.set_message("");
                return;
            }
            ended => self.ended_seconds.iter().sum::<f64>() / ended as f64,
        };
        let left = each * (runs - done as f64 - share).max(0.0);
        let elapsed = short(self.started.elapsed());
        self.all.set_message(format!("{elapsed} so far, {} left", short(Duration::from_secs_f64(left))));
    }
}

/// Time left of a run that came from one share to another in some time.
fn time_left(took: Duration, before: f64, share: f64) -> Duration {
    let done = (share - before).max(1e-9);
    Duration::try_from_secs_f64(took.as_secs_f64() * (1.0 - share).max(0.0) / done).unwrap_or(Duration::MAX)
}

fn short(duration: Duration) -> String {
    if duration > Duration::from_secs(360_000) {
        return HumanDuration(duration).to_string();
    }
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_is_as_fast_as_it_is_now() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 0.0, 0.5), second);
        // From nine tenths, a hundredth a second: nine seconds more.
        let left = time_left(second, 0.9, 0.91).as_secs_f64();
        assert!((left - 9.0).abs() < 1e-6, "{left}");
        assert_eq!(time_left(second, 1.0, 1.0), Duration::ZERO);
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(short(Duration::from_secs(59)), "0:59");
        assert_eq!(short(Duration::from_secs(3600 + 61)), "1:01:01");
        assert_eq!(short(Duration::from_secs(u64::from(u32::MAX))), "136 years");
    }
}
