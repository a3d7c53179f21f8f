//! Ctrl-C, counted.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);
static CAUGHT: Once = Once::new();

/// From now on Ctrl-C no longer ends this process at once: it ends the corpus in the making or the
/// current run in good order, a second one ends the run at once, a third one the process. A process
/// can have one handler only; where there is another one already, Ctrl-C stays what it was.
/// [`crate::run_plan`] calls this; a program calls it earlier where a corpus is made before.
pub fn catch_interrupts() {
    CAUGHT.call_once(|| {
        let _ = ctrlc::set_handler(|| {
            if COUNT.fetch_add(1, Ordering::Relaxed) >= 2 {
                std::process::exit(130);
            }
        });
    });
}

/// How often it was pressed.
pub(crate) fn counted() -> &'static AtomicUsize {
    &COUNT
}
