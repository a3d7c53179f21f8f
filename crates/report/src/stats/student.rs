//! Quantiles of Student's t distribution with whole degrees of freedom.
//!
//! With `theta = atan(t / sqrt(df))` the probability of `|T| <= t` is a finite sum (Abramowitz and Stegun, Handbook of
//! Mathematical Functions, 1964, 26.7.3 and 26.7.4), which is inverted by halving. There is no table and no approximation.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// The `t` with `P(|T| <= t) = confidence`; NaN unless `0 < confidence < 1` and `df >= 1`.
///
/// For an interval at 95 % this is the 0.975 quantile. The time grows linearly with `df`.
pub fn two_sided_quantile(confidence: f64, df: usize) -> f64 {
    if df == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return f64::NAN;
    }
    // The angle lies in a bounded interval where t does not; 60 halvings exhaust its f64 digits.
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if probability_at_angle(middle, df) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).tan() * (df as f64).sqrt()
}

/// Probability that `|T| <= sqrt(df) tan(theta)`.
fn probability_at_angle(theta: f64, df: usize) -> f64 {
    let (sine, cosine) = theta.sin_cos();
    let odd = df % 2 == 1;
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = if df == 1 { 0.0 } else { term };
    let mut k = if odd { 3 } else { 2 };
    while k + 1 < df {
        term *= cosine * cosine * (k - 1) as f64 / k as f64;
        sum += term;
        k += 2;
    }
    if odd { FRAC_2_PI * (theta + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_sided_probability(t: f64, df: usize) -> f64 {
        probability_at_angle((t / (df as f64).sqrt()).atan(), df)
    }

    /// The density integrated with Simpson's rule, as an independent oracle.
    fn integrated(t: f64, df: usize) -> f64 {
        let v = df as f64;
        let density = |x: f64| (1.0 + x * x / v).powf(-0.5 * (v + 1.0));
        let simpson = |from: f64, to: f64, n: usize| {
            let h = (to - from) / n as f64;
            (0..=n)
                .map(|i| {
                    density(from + h * i as f64) * if i == 0 || i == n { 1.0 } else { [2.0, 4.0][i % 2] }
                })
                .sum::<f64>()
                * h
                / 3.0
        };
        // The constant of the density by the recursion Gamma((v+1)/2) / Gamma(v/2) = ((v-1)/2) / (the same at v-1).
        let mut ratio = 1.0 / std::f64::consts::PI.sqrt();
        for k in 2..=df {
            ratio = (k - 1) as f64 / 2.0 / ratio;
        }
        2.0 * simpson(0.0, t, 20_000) * ratio / (v * std::f64::consts::PI).sqrt()
    }

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
            assert!((found - expected).abs() < 1e-7 * expected, "df {df}: {found} for {expected}");
        }
        assert!((two_sided_quantile(0.99, 7) - 3.49948330).abs() < 1e-7);
    }

    #[test]
    fn probability_is_the_integral_of_the_density_and_the_quantile_its_inverse() {
        for df in 1..40 {
            for t in [0.1, 0.7, 1.9, 4.0] {
                assert!((two_sided_probability(t, df) - integrated(t, df)).abs() < 1e-9, "df {df}, t {t}");
            }
            let t = two_sided_quantile(0.95, df);
            assert!((two_sided_probability(t, df) - 0.95).abs() < 1e-12, "df {df}");
        }
    }

    #[test]
    fn nonsense_gives_nan() {
        for (confidence, df) in [(0.95, 0), (0.0, 3), (1.0, 3), (f64::NAN, 3)] {
            assert!(two_sided_quantile(confidence, df).is_nan());
        }
    }
}
