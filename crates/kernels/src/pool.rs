//! Workers for one phase of a kernel: where they run, and who gets what.
//!
//! By default the calling thread and scoped threads beside it, which live for one phase only
//! (starting one costs some tens of microseconds). A program that has a pool of threads already
//! hands it over with [`set_runner`]: two pools on the same cores fight, since OpenMP's threads go
//! on spinning for a while after each parallel region. Which worker does what is fixed by the plan,
//! never by timing or by the runner: results are the same bits from run to run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Runs pieces of work on threads of its own: calls `work` once with each of `0..count`, on any
/// threads, and returns when all are done. `work` does not panic.
pub type Runner = fn(count: usize, work: &(dyn Fn(usize) + Sync));

static RUNNER: OnceLock<Runner> = OnceLock::new();

/// Lets all kernels of this process run on the threads of `runner` from now on. The first call
/// decides; returns whether this was the first.
///
/// ```
/// use lexmax_kernels::set_runner;
///
/// fn one_after_the_other(count: usize, work: &(dyn Fn(usize) + Sync)) {
///     (0..count).for_each(work);
/// }
///
/// assert!(set_runner(one_after_the_other));
/// assert!(!set_runner(one_after_the_other));
/// ```
pub fn set_runner(runner: Runner) -> bool {
    RUNNER.set(runner).is_ok()
}

/// Whether threads need not be started for each phase.
pub(crate) fn has_runner() -> bool {
    RUNNER.get().is_some()
}

/// Runs `work` once for each worker; a panic in one comes back to the caller.
pub(crate) fn on_each<W: Send>(workers: &mut [W], work: impl Fn(&mut W) + Sync) {
    match RUNNER.get() {
        _ if workers.len() <= 1 => workers.iter_mut().for_each(work),
        Some(runner) => on_runner(*runner, workers, work),
        None => on_scoped_threads(workers, work),
    }
}

fn on_scoped_threads<W: Send>(workers: &mut [W], work: impl Fn(&mut W) + Sync) {
    let Some((first, others)) = workers.split_first_mut() else { return };
    std::thread::scope(|scope| {
        for worker in others {
            scope.spawn(|| work(worker));
        }
        work(first);
    });
}

fn on_runner<W: Send>(runner: Runner, workers: &mut [W], work: impl Fn(&mut W) + Sync) {
    // A worker is taken out of its slot, so that a runner that names an index twice does no harm.
    let slots: Vec<Mutex<Option<&mut W>>> =
        workers.iter_mut().map(|worker| Mutex::new(Some(worker))).collect();
    let panicked: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);
    let run = |index: usize| {
        let worker =
            slots.get(index).and_then(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(worker) = worker
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(worker)))
        {
            *panicked.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
        }
    };
    runner(slots.len(), &run);
    // What a runner left out is done here.
    (0..slots.len()).for_each(run);
    if let Some(payload) = panicked.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names some indices twice and forgets others.
    fn careless(count: usize, work: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for index in (0..count).step_by(2).chain([0, count + 7]) {
                scope.spawn(move || work(index));
            }
        });
    }

    #[test]
    fn each_worker_runs_once_whatever_the_runner_does() {
        for count in [1, 2, 5] {
            let mut workers = vec![0; count];
            on_runner(careless, &mut workers, |worker| *worker += 1);
            assert_eq!(workers, vec![1; count]);
            on_scoped_threads(&mut workers, |worker| *worker += 1);
            assert_eq!(workers, vec![2; count]);
        }
    }

    #[test]
    fn a_panic_comes_back_after_all_are_done() {
        let mut workers = vec![0, 1, 2];
        let panic = catch_unwind(AssertUnwindSafe(|| {
            on_runner(careless, &mut workers, |worker| {
                assert!(*worker != 0, "worker zero");
                *worker += 10;
            });
        }));
        assert!(panic.is_err());
        assert_eq!(workers, [0, 11, 12]);
    }
}
