//! Repetitions by a budget of time.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Processor time of this process, all threads, in seconds.
///
/// # Panics
/// The system has no such clock, which every one has.
pub fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A case is repeated at least so often, while its limit allows.
const LEAST: usize = 7;
/// Least repetitions whatever the limit says: a median of fewer says nothing of their spread.
const LEAST_OF_ALL: usize = 3;
/// Most repetitions.
const MOST: usize = 300;
/// The limit of a case, in budgets: a case whose repetitions take long ends there with fewer of
/// them.
const LIMIT: u32 = 4;

/// A call that takes longer is warm enough: what it finds cold is little beside what it does.
const WARM: Duration = Duration::from_secs(20);

/// Milliseconds of each repetition of `run`, each after a `prepare` that does not count. `first` is
/// what one call took that has been made already, perhaps under other settings of the allocator:
/// one more warms the memory up, and does not count.
///
/// # Errors
/// Errors of the calls.
pub fn repeat<S>(
    budget: Duration,
    first: Duration,
    state: &mut S,
    mut prepare: impl FnMut(&mut S) -> Result<()>,
    mut run: impl FnMut(&mut S) -> Result<()>,
) -> Result<Vec<f64>> {
    let limit = LIMIT * budget;
    if first < WARM {
        prepare(state)?;
        run(state)?;
    }
    let started = Instant::now();
    let mut times = Vec::new();
    while times.len() < MOST {
        prepare(state)?;
        let start = Instant::now();
        run(state)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let spent = started.elapsed();
        let enough = (times.len() >= LEAST && spent >= budget) || spent >= limit;
        if enough && times.len() >= LEAST_OF_ALL {
            break;
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn count(budget: Duration, first: Duration, each: Duration) -> usize {
        let mut calls = 0;
        let times = repeat(
            budget,
            first,
            &mut calls,
            |_| Ok(()),
            |calls| {
                *calls += 1;
                std::thread::sleep(each);
                Ok(())
            },
        );
        let times = times.unwrap();
        assert!(times.iter().all(|ms| *ms > 0.0));
        times.len()
    }

    #[test]
    fn the_budget_decides_how_often() {
        let ms = Duration::from_millis;
        assert!((LEAST..=MOST).contains(&count(ms(30), ms(1), ms(1))));
        assert_eq!(count(ms(10_000), ms(0), ms(0)), MOST);
        // A slow case ends at its limit with what it has, a very slow one with the least that has a
        // median.
        assert!(count(ms(10), ms(15), ms(15)) < LEAST);
        assert_eq!(count(ms(10), ms(200), ms(200)), LEAST_OF_ALL);
    }

    #[test]
    fn one_call_warms_up_and_does_not_count() {
        for (first, more) in [(Duration::ZERO, 1), (2 * WARM, 0)] {
            let mut calls = 0;
            let run = |calls: &mut usize| {
                *calls += 1;
                std::thread::sleep(Duration::from_millis(2));
                Ok(())
            };
            let times = repeat(Duration::from_millis(1), first, &mut calls, |_| Ok(()), run).unwrap();
            assert_eq!(calls, times.len() + more);
        }
    }
}
