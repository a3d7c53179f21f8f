//! Progress of a corpus in the making: a bar on a terminal, lines for what a user should know
//! elsewhere too; stopped by Ctrl-C.

use std::io::Write;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lexmax_corpus::{Event, Observer, Unit};

use crate::interrupts;

/// Shows the progress of a corpus on standard error, and ends it once an interrupt was caught.
///
/// Interrupts are caught after a call of [`crate::catch_interrupts`]; before, they end the process.
#[derive(Debug, Default)]
pub struct CorpusDisplay {
    /// The bar of the pass at work, with its name.
    bar: Option<(&'static str, ProgressBar)>,
}

impl CorpusDisplay {
    /// Display before the first progress.
    pub fn new() -> Self {
        Self::default()
    }

    fn show(&mut self, pass: &'static str, unit: Unit, done: u64, total: u64) {
        match &self.bar {
            Some((shown, bar)) if *shown == pass && done > 0 => bar.set_position(done),
            _ => {
                self.close();
                self.bar = Some((pass, bar(pass, unit, total)));
            }
        }
        if done == total {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A line that stays.
    fn note(&mut self, line: &str) {
        self.close();
        // A terminal that was closed takes no more lines; that must not end the making.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

impl Observer for CorpusDisplay {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Pass { pass, unit, done, total } => self.show(pass, unit, done, total),
            Event::Waiting { out } => {
                self.note(&format!("{}: another process is making it; waiting", out.display()));
            }
            Event::Found { out } => {
                self.note(&format!("{}: was made with the same options before; opened", out.display()));
            }
            Event::DealtInTokens { lines, tokens } => self.note(&format!(
                "the text has too few lines to deal out ({lines}): the first of its {tokens} tokens are for training, then valid, then test"
            )),
        }
    }

    fn stop(&self) -> bool {
        interrupts::asked().load(Ordering::Relaxed) > 0
    }
}

impl Drop for CorpusDisplay {
    fn drop(&mut self) {
        self.close();
    }
}

fn bar(pass: &'static str, unit: Unit, total: u64) -> ProgressBar {
    let template = match unit {
        Unit::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        Unit::Items => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} left",
    };
    // `stderr` draws nothing where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(pass)
}
