//! Statistics over seeds, free of files and charts.

pub mod curve;
pub mod paired;
pub mod pareto;
pub mod student;

/// Confidence of every interval in the report.
pub const CONFIDENCE: f64 = 0.95;

/// A mean over seeds and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half the width of the 95 % interval of the mean, `t(0.975, n - 1) s / sqrt(n)`, after
    /// Student; `None` for one value and where it is no finite number, as with an infinite value
    /// among the others.
    pub half_width: Option<f64>,
    /// Number of values.
    pub count: usize,
}

impl Estimate {
    /// Estimates the mean of independent values; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let mean = values.iter().sum::<f64>() / n;
        let half_width = (count > 1).then(|| {
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
            student::two_sided_quantile(CONFIDENCE, count - 1) * (variance / n).sqrt()
        });
        let half_width = half_width.filter(|half| half.is_finite());
        Some(Self { mean, half_width, count })
    }

    /// Lower and upper end of the interval; both are the mean where there is none.
    pub fn ends(&self) -> (f64, f64) {
        let half = self.half_width.unwrap_or(0.0);
        (self.mean - half, self.mean + half)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn none_one_and_several_values() {
        assert_eq!(Estimate::of(&[]), None);
        let one = Estimate::of(&[3.5]).unwrap();
        assert_eq!((one.mean, one.half_width, one.count), (3.5, None, 1));
        assert_eq!(one.ends(), (3.5, 3.5));
        // Values 1..=5: mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776445, half width 2.776445 sqrt(2.5
        // / 5) = 1.963243.
        let five = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((five.mean - 3.0).abs() < 1e-15);
        assert!((five.half_width.unwrap() - 1.963_243).abs() < 1e-6);
    }

    #[test]
    fn a_value_that_is_not_finite_leaves_a_mean_without_an_interval() {
        for bad in [f64::INFINITY, f64::NAN] {
            let estimate = Estimate::of(&[1.0, bad, 2.0]).unwrap();
            assert!(!estimate.mean.is_finite() && estimate.half_width.is_none(), "{estimate:?}");
            assert_eq!(estimate.count, 3);
        }
        assert_eq!(Estimate::of(&[1e300, -1e300]).unwrap().half_width, None);
    }
}
