//! Progress of a corpus in the making, reported to an observer that may stop it.

use std::path::Path;

use crate::CorpusError;

/// Event of a corpus in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A pass over the text or the language goes on; it is over when `done` is `total`.
    Pass {
        /// Name of the pass, as in `reading`.
        pass: &'static str,
        /// Unit that is counted.
        unit: Unit,
        /// Units passed so far.
        done: u64,
        /// Units of the whole pass.
        total: u64,
    },
    /// Another process is making a corpus at the same place; this one waits until it ends.
    Waiting {
        /// The corpus directory.
        out: &'a Path,
    },
    /// A corpus made with the same options is there already and is opened.
    Found {
        /// The corpus directory.
        out: &'a Path,
    },
    /// The text has too few lines for its shares, so they are dealt out in tokens.
    DealtInTokens {
        /// Lines of the text.
        lines: u64,
        /// Tokens of the text.
        tokens: u64,
    },
}

/// Unit of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of files as stored.
    Bytes,
    /// Things that are counted one by one: tokens, contexts.
    Items,
}

/// Receives the progress of a corpus in the making and may stop it.
pub trait Observer {
    /// Called for each 256 KiB of text or some thousand tokens, and at every other event.
    fn tell(&mut self, event: Event<'_>);

    /// Whether the build shall end now with [`CorpusError::Interrupted`], with its temporary folder
    /// removed.
    fn stop(&self) -> bool;
}

/// Observer that hears nothing and stops nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn tell(&mut self, _event: Event<'_>) {}

    fn stop(&self) -> bool {
        false
    }
}

/// One pass: tells the observer when its position changes, and asks whether to stop.
pub(crate) struct Progress<'a> {
    observer: &'a mut dyn Observer,
    pass: &'static str,
    unit: Unit,
    total: u64,
    reported: u64,
}

impl<'a> Progress<'a> {
    /// Number of items after which a loop over items calls [`Progress::at`] again.
    pub(crate) const STRIDE: u64 = 4096;

    pub(crate) fn new(observer: &'a mut dyn Observer, pass: &'static str, unit: Unit, total: u64) -> Self {
        observer.tell(Event::Pass { pass, unit, done: 0, total });
        Progress { observer, pass, unit, total, reported: 0 }
    }

    /// Tells that `done` units are passed; an error where the build is to stop.
    pub(crate) fn at(&mut self, done: u64) -> Result<(), CorpusError> {
        check(self.observer)?;
        if done != self.reported {
            self.reported = done;
            self.tell(done);
        }
        Ok(())
    }

    /// Tells that the pass is over.
    pub(crate) fn finish(mut self) {
        self.tell(self.total);
    }

    fn tell(&mut self, done: u64) {
        let Progress { pass, unit, total, .. } = *self;
        self.observer.tell(Event::Pass { pass, unit, done: done.min(total), total });
    }
}

/// An error where the build is to stop.
pub(crate) fn check(observer: &dyn Observer) -> Result<(), CorpusError> {
    if observer.stop() { Err(CorpusError::Interrupted) } else { Ok(()) }
}
