//! Quantiles of Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The `t` with `P(|T| <= t) = confidence`; NaN unless `0 < confidence < 1` and `df >= 1`.
///
/// For an interval at 95 % this is the 0.975 quantile.
pub fn two_sided_quantile(confidence: f64, df: usize) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, df as f64);
    match distribution {
        Ok(distribution) if confidence > 0.0 && confidence < 1.0 => {
            distribution.inverse_cdf(0.5 + 0.5 * confidence)
        }
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_published_values() {
        // 0.975 quantiles as printed in tables of the t distribution.
        let known = [
            (1, 12.7062047),
            (2, 4.30265273),
            (3, 3.18244631),
            (4, 2.77644511),
            (5, 2.57058184),
            (9, 2.26215716),
            (10, 2.22813885),
            (29, 2.04522964),
            (30, 2.04227246),
            (60, 2.00029782),
            (120, 1.97993041),
            (1000, 1.96233908),
        ];
        for (df, expected) in known {
            let found = two_sided_quantile(0.95, df);
            assert!((found - expected).abs() < 1e-8 * expected, "df {df}: {found} for {expected}");
        }
        assert!((two_sided_quantile(0.99, 7) - 3.49948330).abs() < 1e-7);
    }

    #[test]
    fn quantiles_of_one_and_two_degrees_equal_their_closed_forms() {
        for confidence in [0.01, 0.5, 0.95, 0.999] {
            // One degree of freedom is Cauchy's distribution; of two the quantile is a ratio of
            // roots.
            let one = (std::f64::consts::FRAC_PI_2 * confidence).tan();
            let two = confidence * (2.0 / (1.0 - confidence * confidence)).sqrt();
            for (df, expected) in [(1, one), (2, two)] {
                let found = two_sided_quantile(confidence, df);
                assert!(
                    (found / expected - 1.0).abs() < 1e-9,
                    "df {df}, {confidence}: {found} for {expected}"
                );
            }
        }
    }

    #[test]
    fn nonsense_gives_nan() {
        for (confidence, df) in [(0.95, 0), (0.0, 3), (1.0, 3), (f64::NAN, 3)] {
            assert!(two_sided_quantile(confidence, df).is_nan());
        }
    }
}
