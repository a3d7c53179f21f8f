//! How often a class is expected among the negatives: the number whose logarithm corrects its
//! logit.

/// The law that gives the expected count of a class from its probability `q` under the proposal.
///
/// ```
/// use lexmax_sampled::ExpectedCount;
///
/// assert_eq!(ExpectedCount::Draws { samples: 10.0 }.of(0.25), 2.5);
/// assert!((ExpectedCount::Unique { tries: 3.0 }.of(0.5) - (1.0 - 0.5_f64.powi(3))).abs() < 1e-15);
/// assert_eq!(ExpectedCount::Every.of(0.001), 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExpectedCount {
    /// `S` draws with replacement: `S q`.
    Draws {
        /// Number of draws, `S`.
        samples: f64,
    },
    /// Draws repeated until enough different classes were seen, `T` in all: `1 - (1 - q)^T`, the
    /// probability that `T` draws hold the class. TensorFlow's candidate samplers count so where
    /// `T > S`; where no draw was a repeat they count `S q`, by which a class may be expected more
    /// often than the once that it can be taken.
    Unique {
        /// Number of draws made, repeats included, `T`.
        tries: f64,
    },
    /// Every class is taken once: 1. TensorFlow's samplers draw until they have seen every class,
    /// and count by that `T`.
    Every,
}

/// Newton steps that find `T`; a few are enough, and the steps only grow towards it.
const MAX_STEPS: usize = 200;

impl ExpectedCount {
    /// The law of `S` different classes before any is drawn: [`ExpectedCount::Unique`] with the `T`
    /// at which `T` draws are expected to hold `S` different classes, `sum_c 1 - (1 - q_c)^T = S`,
    /// so that the expected counts sum to `S`. With `S = V` that is [`ExpectedCount::Every`].
    ///
    /// It stands in for the probability that a set holds the class, which has no closed form, and
    /// is exact for `S = 1`, `S = V` and uniform `q` (Rosén 1972, "Asymptotic Theory for Successive
    /// Sampling with Varying Probabilities Without Replacement"; close where no class has most of
    /// `q`). Cost: a few sweeps over `V` probabilities.
    ///
    /// ```
    /// use lexmax_sampled::ExpectedCount;
    ///
    /// let law = ExpectedCount::of_unique_draws(&[0.7, 0.2, 0.1], 2);
    /// let total: f64 = [0.7, 0.2, 0.1].map(|q| law.of(q)).iter().sum();
    /// assert!((total - 2.0).abs() < 1e-9);
    /// ```
    pub fn of_unique_draws(probs: &[f64], samples: usize) -> Self {
        if samples >= probs.len() {
            return Self::Every;
        }
        let wanted = samples as f64;
        // The sum is concave in T and below S at T = S, so every tangent meets S before the sum
        // does: Newton's steps never pass the root.
        let mut tries = wanted;
        for _ in 0..MAX_STEPS {
            let law = Self::Unique { tries };
            let (mut different, mut slope) = (0.0, 0.0);
            for &q in probs {
                let count = law.of(q);
                different += count;
                if count < 1.0 {
                    slope -= (-q).ln_1p() * (1.0 - count);
                }
            }
            let step = (wanted - different) / slope;
            // Not above zero, or not a number, where rounding alone is left.
            if !(step > 1e-13 * tries && step.is_finite()) {
                break;
            }
            tries += step;
        }
        Self::Unique { tries }
    }

    /// The expected count of a class with probability `q`.
    pub fn of(self, q: f64) -> f64 {
        match self {
            Self::Draws { samples } => samples * q,
            // (1 - q)^T loses all digits of a small q; expm1 and log1p keep them.
            Self::Unique { tries } => -(tries * (-q).ln_1p()).exp_m1(),
            Self::Every => 1.0,
        }
    }

    /// Its natural logarithm.
    pub fn log_of(self, q: f64) -> f64 {
        self.of(q).ln()
    }

    /// The probability that the class is among the draws at all, as a law: what counts for a class
    /// that is taken once however often it was drawn.
    pub fn inclusion(self) -> Self {
        match self {
            Self::Draws { samples } => Self::Unique { tries: samples },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_probabilities_keep_their_digits() {
        let count = ExpectedCount::Unique { tries: 1000.0 }.of(1e-18);
        assert!((count / 1e-15 - 1.0).abs() < 1e-12, "{count:e}");
        // The textbook form rounds 1 - q to 1 and finds nothing.
        assert_eq!(1.0 - (1.0 - 1e-18_f64).powf(1000.0), 0.0);
    }

    #[test]
    fn the_counts_of_unique_draws_sum_to_their_number() {
        // From even to eighteen decades apart, from few draws to all but one.
        for decades in [0.0, 2.0, 9.0, 18.0] {
            let v = 400;
            let weights: Vec<f64> = (0..v).map(|c| 10_f64.powf(-decades * f64::from(c) / 400.0)).collect();
            let total: f64 = weights.iter().sum();
            let q: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
            for samples in [1, 2, 50, 399] {
                let law = ExpectedCount::of_unique_draws(&q, samples);
                let sum: f64 = q.iter().map(|&q| law.of(q)).sum();
                assert!(
                    (sum / samples as f64 - 1.0).abs() < 1e-9,
                    "{decades} decades, S = {samples}: {sum} by {law:?}"
                );
            }
            assert_eq!(ExpectedCount::of_unique_draws(&q, 400), ExpectedCount::Every);
        }
        // One draw includes a class with its probability; a class of q = 1 - 1e-17 is 1 in f64.
        let ExpectedCount::Unique { tries } = ExpectedCount::of_unique_draws(&[0.9, 0.1], 1) else {
            panic!()
        };
        assert!((tries - 1.0).abs() < 1e-12);
        let law = ExpectedCount::of_unique_draws(&[1.0, 1e-17, 1e-17], 2);
        assert!((law.of(1e-17) - 0.5).abs() < 1e-9, "{law:?}");
    }

    #[test]
    fn a_certain_class_is_counted_once() {
        assert_eq!(ExpectedCount::Unique { tries: 1.0 }.of(1.0), 1.0);
        assert_eq!(ExpectedCount::Draws { samples: 5.0 }.inclusion().of(1.0), 1.0);
    }
}
