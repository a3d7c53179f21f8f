//! Signals that ask for the end: Ctrl-C, and those by which batch systems, service managers and
//! closed terminals end a job.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Number of requests to end: 1 ends the run in good order, more end it at once.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// The first signal, 0 before.
static FIRST: AtomicI32 = AtomicI32::new(0);
static CAUGHT: Once = Once::new();

/// Number of the signal of Ctrl-C, where the system does not say another.
pub(crate) const INTERRUPT: i32 = 2;

/// Signals that ask for the end: SIGHUP, SIGINT and SIGTERM.
pub(crate) const ASKING: [i32; 3] = [1, INTERRUPT, 15];

/// From now on Ctrl-C (SIGINT), SIGTERM and SIGHUP no longer end this process at once: they end the
/// corpus in the making or the current run in good order. A second Ctrl-C ends the run at once, a
/// third one the process; the others are sent more than once by some (`timeout` signals a process
/// and then its group), so they never do more than the first. SIGHUP stays ignored where it is, as
/// under `nohup`. [`crate::run_plan`] calls this; a program calls it earlier where a corpus is made
/// before.
pub fn catch_interrupts() {
    CAUGHT.call_once(listen);
}

/// Number of requests to end.
pub(crate) fn asked() -> &'static AtomicUsize {
    &ASKED
}

/// Exit status of a process that a signal asked to end, as a shell would show it: 130 after Ctrl-C,
/// 143 after SIGTERM, 129 after SIGHUP. `None` where no signal came.
pub fn interrupted_status() -> Option<u8> {
    match FIRST.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(status_of(signal)),
    }
}

/// Exit status that stands for a signal.
pub fn status_of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// The first signal that came, where one did.
pub(crate) fn first() -> Option<i32> {
    Some(FIRST.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Counts a signal; returns whether the process shall end now.
fn count(signal: i32) -> bool {
    let _ = FIRST.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    if signal == INTERRUPT {
        return ASKED.fetch_add(1, Ordering::Relaxed) >= 2;
    }
    let _ = ASKED.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
    false
}

#[cfg(unix)]
mod system {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    use super::{INTERRUPT, count};

    /// A second Ctrl-C within this time is the first one, sent to the process and to its group.
    const ONE_PRESS: Duration = Duration::from_millis(150);

    /// The signals that are listened for.
    fn wanted() -> Vec<i32> {
        let all = [SIGINT, SIGTERM, SIGHUP];
        all.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP)).collect()
    }

    /// Whether the process was started with a signal ignored.
    pub(crate) fn is_ignored(signal: i32) -> bool {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action sigaction changes nothing and writes the present one to the
        // place given, which is large enough; a result of zero says that it did, so that the value
        // is initialised when it is read.
        unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }

    /// Counts signals on a thread of its own.
    pub(super) fn listen() {
        // Where the system refuses, signals stay what they were.
        let Ok(mut signals) = Signals::new(wanted()) else { return };
        std::thread::spawn(move || {
            let mut pressed: Option<Instant> = None;
            for signal in signals.forever() {
                if signal == INTERRUPT {
                    let again = pressed.is_some_and(|before| before.elapsed() < ONE_PRESS);
                    pressed = Some(Instant::now());
                    if again {
                        continue;
                    }
                }
                if count(signal) {
                    std::process::exit(super::status_of(signal).into());
                }
            }
        });
    }

    /// From now on the signals write their number to the place returned, and do nothing else.
    pub(crate) fn note() -> std::io::Result<Arc<AtomicUsize>> {
        let place = Arc::new(AtomicUsize::new(0));
        for signal in wanted() {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&place), number)?;
        }
        Ok(place)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_signal_is_ignored_where_the_process_says_so() {
            assert!(!is_ignored(libc::SIGUSR2));
            // SAFETY: SIG_IGN is no function that could run; no other test of this process uses
            // this signal.
            unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
            assert!(is_ignored(libc::SIGUSR2));
            assert!(wanted().contains(&SIGTERM) && wanted().contains(&SIGINT));
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{INTERRUPT, count};

    pub(super) fn listen() {
        let _ = ctrlc::set_handler(|| {
            if count(INTERRUPT) {
                std::process::exit(super::status_of(INTERRUPT).into());
            }
        });
    }

    pub(crate) fn note() -> std::io::Result<Arc<AtomicUsize>> {
        let place = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&place);
        ctrlc::set_handler(move || noted.store(INTERRUPT as usize, Ordering::Relaxed))
            .map_err(std::io::Error::other)?;
        Ok(place)
    }
}

#[cfg(all(test, unix))]
pub(crate) use system::is_ignored;
use system::listen;
pub(crate) use system::note;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_a_shell() {
        assert_eq!([1, 2, 15].map(status_of), [129, 130, 143]);
    }
}
