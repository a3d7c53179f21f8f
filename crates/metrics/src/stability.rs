//! Stability over seeds: spread, worst seed, rises of the training loss, diverged runs.

use crate::{Direction, MetricsError};

const OPERATION: &str = "stability over seeds";

/// Run of one seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeedRun<'a> {
    /// Primary measure at the end; none where the run diverged.
    pub primary: Option<f64>,
    /// Training loss at each curve point.
    pub losses: &'a [f64],
}

/// Figures of stability over the seeds of one output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stability {
    /// Runs, diverged ones included.
    pub runs: u64,
    /// Mean primary measure of the runs that did not diverge; none where all did.
    pub mean: Option<f64>,
    /// Standard deviation of the primary measure (over one less than the number of runs that did
    /// not diverge); none with fewer than two of them.
    pub deviation: Option<f64>,
    /// Worst primary measure of the runs that did not diverge.
    pub worst: Option<f64>,
    /// Greatest rise of the training loss between neighbouring curve points of any run, at least 0;
    /// none where no run has two points.
    pub greatest_rise: Option<f64>,
    /// Share of runs that diverged.
    pub diverged: f64,
}

/// Figures of stability of the runs of one output. Cost: one pass over all curve points.
///
/// ```
/// use lexmax_metrics::{Direction, SeedRun, stability};
/// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
/// let runs = [
///     SeedRun { primary: Some(0.90), losses: &[2.0, 1.0, 1.25] },
///     SeedRun { primary: Some(0.80), losses: &[2.0, 1.5, 1.0] },
///     SeedRun { primary: None, losses: &[2.0, f64::NAN] },
/// ];
/// let stability = stability(&runs, Direction::Higher)?;
/// assert_eq!((stability.worst, stability.greatest_rise), (Some(0.80), Some(0.25)));
/// assert_eq!(stability.diverged, 1.0 / 3.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// No run; a primary measure, or a loss of a run that did not diverge, that is not finite.
pub fn stability(runs: &[SeedRun<'_>], direction: Direction) -> Result<Stability, MetricsError> {
    if runs.is_empty() {
        return Err(MetricsError::value(OPERATION, "number of runs", 0, "at least one run"));
    }
    let primaries: Vec<f64> = runs.iter().filter_map(|run| run.primary).collect();
    let finished = runs.iter().filter(|run| run.primary.is_some());
    let numbers = primaries.iter().chain(finished.flat_map(|run| run.losses));
    if let Some(number) = numbers.copied().find(|number| !number.is_finite()) {
        let expected = "finite numbers of a run that did not diverge";
        return Err(MetricsError::value(OPERATION, "measure or loss", number, expected));
    }
    let count = primaries.len() as f64;
    let mean = (!primaries.is_empty()).then(|| primaries.iter().sum::<f64>() / count);
    let squares = |mean: f64| primaries.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = mean.filter(|_| primaries.len() > 1).map(|mean| (squares(mean) / (count - 1.0)).sqrt());
    let worst = primaries.iter().copied().reduce(match direction {
        Direction::Higher => f64::min,
        Direction::Lower => f64::max,
    });
    let rises = runs.iter().flat_map(|run| run.losses.windows(2)).map(|pair| pair[1] - pair[0]);
    // A diverged run may end in losses that are none.
    let greatest_rise = rises.filter(|rise| rise.is_finite()).reduce(f64::max).map(|rise| rise.max(0.0));
    let diverged = (runs.len() - primaries.len()) as f64 / runs.len() as f64;
    Ok(Stability { runs: runs.len() as u64, mean, deviation, worst, greatest_rise, diverged })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(primaries: &[f64], direction: Direction) -> Stability {
        let runs: Vec<SeedRun<'_>> =
            primaries.iter().map(|&value| SeedRun { primary: Some(value), losses: &[] }).collect();
        stability(&runs, direction).unwrap()
    }

    #[test]
    fn deviation_is_that_of_a_sample() {
        let three = of(&[1.0, 2.0, 6.0], Direction::Higher);
        assert_eq!((three.mean, three.deviation), (Some(3.0), Some(7_f64.sqrt())));
        assert_eq!(of(&[4.0], Direction::Higher).deviation, None);
    }

    #[test]
    fn worst_seed_follows_the_direction() {
        assert_eq!(of(&[1.0, 2.0, 6.0], Direction::Higher).worst, Some(1.0));
        assert_eq!(of(&[1.0, 2.0, 6.0], Direction::Lower).worst, Some(6.0));
    }

    #[test]
    fn runs_that_all_diverged_have_no_mean() {
        let run = SeedRun { primary: None, losses: &[1.0, 3.0, f64::INFINITY] };
        let all = stability(&[run; 2], Direction::Lower).unwrap();
        assert_eq!((all.mean, all.deviation, all.worst, all.diverged), (None, None, None, 1.0));
        assert_eq!(all.greatest_rise, Some(2.0));
    }

    #[test]
    fn loss_that_only_falls_rises_by_nothing() {
        let run = |losses| SeedRun { primary: Some(1.0), losses };
        assert_eq!(stability(&[run(&[3.0, 2.0, 1.0])], Direction::Lower).unwrap().greatest_rise, Some(0.0));
        assert_eq!(stability(&[run(&[3.0])], Direction::Lower).unwrap().greatest_rise, None);
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        for run in [
            SeedRun { primary: Some(f64::NAN), losses: &[] },
            SeedRun { primary: Some(1.0), losses: &[1.0, f64::NAN] },
        ] {
            assert!(stability(&[run], Direction::Lower).unwrap_err().to_string().contains("NaN"));
        }
        assert!(stability(&[], Direction::Lower).unwrap_err().to_string().contains("at least one run"));
    }
}
