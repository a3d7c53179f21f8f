//! How often a class is expected among the negatives: the number whose logarithm corrects its logit.

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
    /// Draws repeated until enough different classes were seen, `T` in all: `1 - (1 - q)^T`, the probability that `T`
    /// draws hold the class. This is how TensorFlow's candidate samplers count, but for sets without a repeat (`T = S`),
    /// which they count as draws with replacement: there a class would be expected more often than it can be taken.
    Unique {
        /// Number of draws made, repeats included, `T`.
        tries: f64,
    },
    /// Every class is taken once: 1.
    Every,
}

impl ExpectedCount {
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

    /// The probability that the class is among the draws at all, as a law: what counts for a class that is taken once
    /// however often it was drawn.
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
    fn a_certain_class_is_counted_once() {
        assert_eq!(ExpectedCount::Unique { tries: 1.0 }.of(1.0), 1.0);
        assert_eq!(ExpectedCount::Draws { samples: 5.0 }.inclusion().of(1.0), 1.0);
    }
}
