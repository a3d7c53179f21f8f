//! Convergence: how many training targets, and seconds, until a measure reaches a level.

use std::cmp::Ordering;

use crate::{Direction, MetricsError};

const OPERATION: &str = "convergence";

/// Point of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Training targets so far.
    pub targets: u64,
    /// Training seconds so far.
    pub seconds: f64,
    /// Primary measure on the validation split.
    pub value: f64,
}

/// Place where a curve reaches a level; [`Convergence::NotReached`] sorts last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Convergence {
    /// Least training targets, and the seconds at that place.
    At {
        /// Training targets, between points a fraction.
        targets: f64,
        /// Training seconds.
        seconds: f64,
    },
    /// The curve stays short of the level.
    NotReached,
}

impl Convergence {
    /// Training targets; none where the level is not reached.
    pub fn targets(self) -> Option<f64> {
        match self {
            Convergence::At { targets, .. } => Some(targets),
            Convergence::NotReached => None,
        }
    }

    /// Training seconds; none where the level is not reached.
    pub fn seconds(self) -> Option<f64> {
        match self {
            Convergence::At { seconds, .. } => Some(seconds),
            Convergence::NotReached => None,
        }
    }

    /// Order by training targets, then by seconds, with curves that stay short of the level last.
    pub fn compare(self, other: Convergence) -> Ordering {
        let key = |of: Convergence| match of {
            Convergence::At { targets, seconds } => (false, targets, seconds),
            Convergence::NotReached => (true, 0.0, 0.0),
        };
        let (a, b) = (key(self), key(other));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    }
}

/// Least training targets, and seconds, at which a curve reaches `level`, by straight lines between
/// its points. Cost: one pass over the points.
///
/// ```
/// use lexmax_metrics::{Convergence, CurvePoint, Direction, convergence};
/// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
/// let point = |targets, seconds, value| CurvePoint { targets, seconds, value };
/// let curve = [point(0, 0.0, 0.1), point(1000, 2.0, 0.5), point(2000, 4.0, 0.9)];
/// let reached = convergence(&curve, 0.8, Direction::Higher)?;
/// assert_eq!(reached.targets().map(f64::round), Some(1750.0));
/// assert_eq!(convergence(&curve, 0.95, Direction::Higher)?, Convergence::NotReached);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A level that is not finite, a value that is NaN, targets that do not rise or seconds that fall
/// from point to point.
pub fn convergence(
    curve: &[CurvePoint],
    level: f64,
    direction: Direction,
) -> Result<Convergence, MetricsError> {
    if !level.is_finite() {
        return Err(MetricsError::value(OPERATION, "level", level, "a finite number"));
    }
    if let Some(point) = curve.iter().find(|point| point.value.is_nan() || !point.seconds.is_finite()) {
        let expected = "numbers, of finite seconds";
        return Err(MetricsError::value(OPERATION, "point of the curve", format!("{point:?}"), expected));
    }
    let falls =
        |pair: &&[CurvePoint]| pair[1].targets <= pair[0].targets || pair[1].seconds < pair[0].seconds;
    if let Some(pair) = curve.windows(2).find(falls) {
        let given = format!(
            "{} targets, {} s after {} targets, {} s",
            pair[1].targets, pair[1].seconds, pair[0].targets, pair[0].seconds
        );
        let expected = "targets that rise and seconds that do not fall";
        return Err(MetricsError::value(OPERATION, "point of the curve", given, expected));
    }
    let reaches = |value: f64| match direction {
        Direction::Higher => value >= level,
        Direction::Lower => value <= level,
    };
    let Some(at) = curve.iter().position(|point| reaches(point.value)) else {
        return Ok(Convergence::NotReached);
    };
    let point = curve[at];
    let end = (point.targets as f64, point.seconds);
    let (targets, seconds) = match at.checked_sub(1).map(|before| curve[before]) {
        // From an infinite loss no straight line leads anywhere: the point itself is reached.
        Some(before) if before.value.is_finite() && point.value.is_finite() => {
            let part = (level - before.value) / (point.value - before.value);
            let start = before.targets as f64;
            (start + part * (end.0 - start), before.seconds + part * (end.1 - before.seconds))
        }
        _ => end,
    };
    Ok(Convergence::At { targets, seconds })
}

/// Level that runs are usually compared at: 95 % of the reference output's final mean; of a measure
/// that is better when lower, the mean over .95.
///
/// # Errors
/// A mean that is not above 0, of which a share says nothing.
pub fn usual_level(reference_mean: f64, direction: Direction) -> Result<f64, MetricsError> {
    if !(reference_mean.is_finite() && reference_mean > 0.0) {
        let expected = "a finite number above 0, or a level of its own";
        return Err(MetricsError::value(OPERATION, "final mean of the reference", reference_mean, expected));
    }
    Ok(match direction {
        Direction::Higher => 0.95 * reference_mean,
        Direction::Lower => reference_mean / 0.95,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn curve(values: &[f64]) -> Vec<CurvePoint> {
        let points = (0..).zip(values);
        points.map(|(at, &value)| CurvePoint { targets: 100 * at, seconds: at as f64, value }).collect()
    }

    fn reached(values: &[f64], level: f64, direction: Direction) -> Convergence {
        convergence(&curve(values), level, direction).unwrap()
    }

    #[test]
    fn first_crossing_counts_though_the_curve_falls_again() {
        let at = |targets, seconds| Convergence::At { targets, seconds };
        assert_eq!(reached(&[0.0, 0.5, 0.25, 1.0], 0.25, Direction::Higher), at(50.0, 0.5));
        assert_eq!(reached(&[4.0, 2.0, 3.0], 3.0, Direction::Lower), at(50.0, 0.5));
        // Reached at the start, and exactly at a point.
        assert_eq!(reached(&[0.5, 0.6], 0.5, Direction::Higher), at(0.0, 0.0));
        assert_eq!(reached(&[0.0, 0.5, 0.5], 0.5, Direction::Higher), at(100.0, 1.0));
        assert_eq!(reached(&[f64::INFINITY, 2.0], 3.0, Direction::Lower), at(100.0, 1.0));
    }

    #[test]
    fn curve_short_of_the_level_sorts_last() {
        let short = reached(&[0.0, 0.5], 0.9, Direction::Higher);
        assert_eq!(short, Convergence::NotReached);
        assert_eq!(reached(&[], 0.9, Direction::Higher), Convergence::NotReached);
        let mut all =
            [short, reached(&[0.0, 1.0], 0.9, Direction::Higher), reached(&[1.0], 0.9, Direction::Higher)];
        all.sort_by(|a, b| a.compare(*b));
        assert_eq!(all.map(Convergence::targets), [Some(0.0), Some(90.0), None]);
    }

    #[test]
    fn curve_out_of_order_or_with_nan_is_refused() {
        let mut points = curve(&[0.0, 1.0]);
        points[1].targets = 0;
        assert!(
            convergence(&points, 0.5, Direction::Higher)
                .unwrap_err()
                .to_string()
                .contains("targets that rise")
        );
        for (values, level) in [(&[0.0, f64::NAN][..], 0.5), (&[0.0, 1.0], f64::NAN)] {
            let error = convergence(&curve(values), level, Direction::Higher).unwrap_err().to_string();
            assert!(error.contains("NaN"), "{error}");
        }
    }

    #[test]
    fn usual_level_is_never_better_than_the_reference() {
        assert_eq!(usual_level(0.8, Direction::Higher).unwrap(), 0.95 * 0.8);
        assert!(usual_level(1.9, Direction::Lower).unwrap() > 1.9);
        for mean in [0.0, -1.0, f64::NAN] {
            assert!(usual_level(mean, Direction::Higher).is_err());
        }
    }
}
