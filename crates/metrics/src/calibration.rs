//! Calibration: how far the greatest probability is from the share of right predictions.

use crate::MetricsError;
use crate::sum::Sum;

/// Bins of equal width over the greatest probability.
const BINS: usize = 15;
/// Slack for the rounding of half precision.
const SLACK: f64 = 1e-2;

/// Rows with the greatest probability in one bin `(i/15, (i+1)/15]`; the first bin takes 0 too.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// Rows in the bin.
    pub rows: u64,
    /// Rows in it that were predicted right.
    pub hits: u64,
    /// Sum of their greatest probabilities.
    pub confidence: f64,
}

/// Reliability diagram in 15 bins, and the expected calibration error.
///
/// `ECE = sum_b (n_b / n) |hits_b / n_b - confidence_b / n_b|` over the bins with rows (Guo et al.,
/// "On Calibration of Modern Neural Networks", 2017, arXiv 1706.04599). Memory: 15 bins.
///
/// ```
/// let mut reliability = lexmax_metrics::Reliability::new();
/// for hit in [true, true, true, false] {
///     reliability.add(0.95, hit)?;
/// }
/// assert!((reliability.ece().unwrap() - 0.2).abs() < 1e-12);
/// # Ok::<(), lexmax_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reliability {
    rows: [u64; BINS],
    hits: [u64; BINS],
    confidence: [Sum; BINS],
}

impl Reliability {
    /// Diagram without rows.
    pub fn new() -> Reliability {
        Reliability::default()
    }

    /// Adds a row with its greatest probability, and whether the class predicted was the target.
    ///
    /// # Errors
    /// A probability outside 0 to 1 by more than the rounding of half precision, or NaN.
    pub fn add(&mut self, greatest: f64, hit: bool) -> Result<(), MetricsError> {
        // NaN is in no range.
        if !(0.0..=1.0 + SLACK).contains(&greatest) {
            let expected = "a probability from 0 to 1";
            return Err(MetricsError::value("calibration", "greatest probability", greatest, expected));
        }
        let bin = (1..BINS).filter(|&edge| greatest > edge as f64 / BINS as f64).count();
        self.rows[bin] += 1;
        self.hits[bin] += u64::from(hit);
        self.confidence[bin].add(greatest.min(1.0));
        Ok(())
    }

    /// The bins, from low to high probability.
    pub fn bins(&self) -> Vec<Bin> {
        let bin = |at: usize| Bin {
            rows: self.rows[at],
            hits: self.hits[at],
            confidence: self.confidence[at].value(),
        };
        (0..BINS).map(bin).collect()
    }

    /// Expected calibration error, 0 to 1; none where there are no rows.
    pub fn ece(&self) -> Option<f64> {
        let rows: u64 = self.rows.iter().sum();
        // n_b / n times a difference of two means over n_b is a difference of sums over n.
        let gaps = self.bins().into_iter().map(|bin| (bin.hits as f64 - bin.confidence).abs());
        (rows > 0).then(|| gaps.sum::<f64>() / rows as f64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn probability_at_an_edge_is_in_the_lower_bin() {
        for edge in 1..=BINS {
            let mut reliability = Reliability::new();
            let at = edge as f64 / BINS as f64;
            reliability.add(at, true).unwrap();
            assert_eq!(reliability.bins()[edge - 1].rows, 1, "{edge}");
            if edge < BINS {
                reliability.add(at.next_up(), true).unwrap();
                assert_eq!(reliability.bins()[edge].rows, 1, "{edge}");
            }
        }
        let mut reliability = Reliability::new();
        reliability.add(0.0, false).unwrap();
        assert_eq!(reliability.bins()[0].rows, 1);
    }

    #[test]
    fn error_of_bins_does_not_cancel_between_them() {
        let mut reliability = Reliability::new();
        // Too sure in one bin, too unsure in another: the means agree, the bins do not.
        for hit in [true, false] {
            reliability.add(0.9, hit).unwrap();
            reliability.add(0.1, hit).unwrap();
        }
        assert!((reliability.ece().unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(Reliability::new().ece(), None);
    }

    #[test]
    fn probability_outside_zero_to_one_is_refused() {
        for greatest in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = Reliability::new().add(greatest, true).unwrap_err().to_string();
            assert!(error.contains("greatest probability is"), "{error}");
        }
    }
}
