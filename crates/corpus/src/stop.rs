//! The wish to stop: a build that is interrupted removes what it has written.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::CorpusError;

static STOP: AtomicBool = AtomicBool::new(false);

/// Ends every [`crate::build`] and [`crate::synthesize`] of this process, now and from now on, with
/// [`CorpusError::Interrupted`]; their temporary folders are removed. Meant for a Ctrl-C handler, it does no more than
/// set a flag.
pub fn stop_building() {
    STOP.store(true, Ordering::Relaxed);
}

/// An error where the process is to stop. Cheap enough for every token.
pub(crate) fn check() -> Result<(), CorpusError> {
    if STOP.load(Ordering::Relaxed) { Err(CorpusError::Interrupted) } else { Ok(()) }
}
