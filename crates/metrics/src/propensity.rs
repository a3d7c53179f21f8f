//! Propensities of labels: how likely it is that a true label was noted down.

use crate::MetricsError;
use crate::error::check_counts;

/// Inverse propensities of all labels.
///
/// `1 / p_l = 1 + K (N_l + B)^-A` with `K = (ln N - 1) (B + 1)^A`, for `N` training rows of which
/// `N_l` have label `l` (Jain, Prabhu and Varma, "Extreme Multi-label Loss Functions for
/// Recommendation, Tagging, Ranking & Other Missing Label Applications", KDD 2016). Usual values
/// are A = .55 and B = 1.5; .6 and 2.6 for Amazon's sets, .5 and .4 for Wikipedia's. Cost and
/// memory: `O(C)`.
///
/// ```
/// // The titles of Finna: 537,869 rows.
/// let propensity = lexmax_metrics::Propensity::new(&[236, 34, 1], 537_869, 0.55, 1.5)?;
/// let shown: Vec<String> = propensity.inverse().iter().map(|inverse| format!("{inverse:.2}")).collect();
/// assert_eq!(shown, ["2.00", "3.83", "13.20"]);
/// # Ok::<(), lexmax_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Propensity {
    inverse: Vec<f64>,
}

impl Propensity {
    /// Propensities from the training counts of all labels.
    ///
    /// # Errors
    /// No label, fewer than 3 rows (the formula's `ln N - 1` is negative there), a label with more
    /// rows than there are, an `a` or `b` that is negative or not finite.
    pub fn new(counts: &[u64], rows: u64, a: f64, b: f64) -> Result<Propensity, MetricsError> {
        const OPERATION: &str = "propensities of labels";
        check_counts(OPERATION, counts)?;
        for (name, value) in [("a", a), ("b", b)] {
            if !(value.is_finite() && value >= 0.0) {
                let expected = "a finite number, at least 0";
                return Err(MetricsError::value(OPERATION, name, value, expected));
            }
        }
        if b == 0.0 && counts.contains(&0) {
            let expected = "more than 0 where a label has no training row";
            return Err(MetricsError::value(OPERATION, "b", b, expected));
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        if rows < most.max(3) {
            let expected = format!("at least {}: 3, and the count of every label", most.max(3));
            return Err(MetricsError::value(OPERATION, "number of training rows", rows, expected));
        }
        let scale = ((rows as f64).ln() - 1.0) * (b + 1.0).powf(a);
        let inverse = |&count: &u64| 1.0 + scale * (count as f64 + b).powf(-a);
        Ok(Propensity { inverse: counts.iter().map(inverse).collect() })
    }

    /// Inverse propensity `1 / p_l` of each label, by id.
    pub fn inverse(&self) -> &[f64] {
        &self.inverse
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rare_label_weighs_more_than_a_frequent_one() {
        let propensity = Propensity::new(&[900, 40, 1, 0], 1000, 0.55, 1.5).unwrap();
        assert!(propensity.inverse().windows(2).all(|pair| pair[0] < pair[1]));
        // With A = 0 all labels weigh the same: 1 + (ln N - 1).
        let flat = Propensity::new(&[900, 1], 1000, 0.0, 1.5).unwrap();
        assert!(flat.inverse().iter().all(|&inverse| (inverse - 1000_f64.ln()).abs() < 1e-12));
    }

    #[test]
    fn values_that_give_no_propensity_are_refused() {
        let refused =
            |counts: &[u64], rows, a, b| Propensity::new(counts, rows, a, b).unwrap_err().to_string();
        assert!(refused(&[], 10, 0.5, 1.5).contains("counts is of 0 classes"));
        assert!(refused(&[1], 2, 0.5, 1.5).contains("number of training rows is 2; expected at least 3"));
        assert!(refused(&[11], 10, 0.5, 1.5).contains("expected at least 11"));
        assert!(refused(&[1], 10, f64::NAN, 1.5).contains("a is NaN"));
        assert!(refused(&[1], 10, 0.5, -1.0).contains("b is -1"));
        assert!(refused(&[1, 0], 10, 0.5, 0.0).contains("b is 0"));
    }
}
