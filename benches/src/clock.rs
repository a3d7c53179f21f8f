//! Repetitions by a budget of time.

use std::time::{Duration, Instant};

use anyhow::Result;

/// A case is repeated at least so often, while its limit allows.
const LEAST: usize = 7;
/// And at most so often.
const MOST: usize = 300;
/// The limit of a case, in budgets: a case whose repetitions take long ends there with fewer of them.
const LIMIT: u32 = 4;

/// Milliseconds of each repetition of `run`, each after a `prepare` that does not count. `first` is what one call took that
/// has been made already: the warm-up, or the result where a second call would go over the limit many times.
///
/// # Errors
/// Those of the calls.
pub fn repeat<S>(
    budget: Duration,
    first: Duration,
    state: &mut S,
    mut prepare: impl FnMut(&mut S) -> Result<()>,
    mut run: impl FnMut(&mut S) -> Result<()>,
) -> Result<Vec<f64>> {
    let limit = LIMIT * budget;
    if first > LIMIT * limit {
        return Ok(vec![first.as_secs_f64() * 1e3]);
    }
    let started = Instant::now();
    let mut times = Vec::new();
    while times.len() < MOST {
        prepare(state)?;
        let start = Instant::now();
        run(state)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let spent = started.elapsed();
        if (times.len() >= LEAST && spent >= budget) || spent >= limit {
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
        // A slow case ends at its limit with what it has, a very slow one with the first call.
        assert!(count(ms(10), ms(15), ms(15)) < LEAST);
        assert_eq!(count(ms(10), ms(200), ms(200)), 1);
    }
}
