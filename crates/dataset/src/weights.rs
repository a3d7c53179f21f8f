//! Class weights of a loss, by rule from the training counts.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Rule of the class weights, the key `loss.class_weights`.
///
/// ```
/// use lexmax_dataset::ClassWeights;
///
/// let rule: ClassWeights = toml::from_str("rule = 'inverse'\npower = 1.0")?;
/// // Inverse counts 1/8 and 1/2 have the mean 5/16.
/// assert_eq!(rule.weights(&[8, 2])?, [0.4, 1.6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClassWeights {
    /// `w_c ~ n_c^-power`; .5 is the square-root form, 0 no weights.
    Inverse {
        /// Exponent, at least 0.
        #[serde(default = "one")]
        power: f64,
    },
    /// `w_c ~ (1 - beta) / (1 - beta^n_c)`, the inverse effective number of samples (Cui et al.,
    /// "Class-Balanced Loss Based on Effective Number of Samples", 2019, arXiv 1901.05555).
    Effective {
        /// From 0 (no weights) to less than 1 (towards inverse counts).
        #[serde(default = "usual_beta")]
        beta: f64,
    },
}

fn one() -> f64 {
    1.0
}

fn usual_beta() -> f64 {
    0.9999
}

impl ClassWeights {
    /// Weight of each class by its training count, scaled to mean 1 over the classes; counts below
    /// 1 count as 1. Cost: `O(C)`.
    ///
    /// # Errors
    /// No class, a power that is negative or not finite or that makes a weight so, a beta outside 0
    /// to less than 1.
    pub fn weights(self, counts: &[u64]) -> Result<Vec<f64>, DatasetError> {
        if counts.is_empty() {
            let expected = "the training counts of at least one class";
            return Err(DatasetError::option("class_weights", "no counts", expected));
        }
        let raw: Vec<f64> = match self {
            ClassWeights::Inverse { power } => {
                if !(power.is_finite() && power >= 0.0) {
                    let expected = "a finite number, at least 0";
                    return Err(DatasetError::option("class_weights.power", power, expected));
                }
                counts.iter().map(|&count| (count.max(1) as f64).powf(-power)).collect()
            }
            ClassWeights::Effective { beta } => {
                if !(0.0..1.0).contains(&beta) {
                    let expected = "from 0 to less than 1";
                    return Err(DatasetError::option("class_weights.beta", beta, expected));
                }
                // 1 - beta^n without cancellation for a beta near 1; the factor 1 - beta goes away
                // in the scale.
                let effective = |count: u64| -(count.max(1) as f64 * beta.ln()).exp_m1();
                counts.iter().map(|&count| 1.0 / effective(count)).collect()
            }
        };
        let mean = raw.iter().sum::<f64>() / counts.len() as f64;
        if !(mean.is_finite() && mean > 0.0) {
            let expected = "weights with a finite mean above 0";
            return Err(DatasetError::option("class_weights", format!("{self:?}"), expected));
        }
        Ok(raw.into_iter().map(|weight| weight / mean).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const COUNTS: [u64; 6] = [5000, 300, 41, 7, 1, 0];

    fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * b.abs())
    }

    #[test]
    fn effective_weights_have_both_limits() {
        let of = |beta| ClassWeights::Effective { beta }.weights(&COUNTS).unwrap();
        assert_eq!(of(0.0), [1.0; 6]);
        let inverse = ClassWeights::Inverse { power: 1.0 }.weights(&COUNTS).unwrap();
        assert!(close(&of(1.0 - 1e-14), &inverse, 1e-9), "{:?} {inverse:?}", of(1.0 - 1e-14));
        assert!(!close(&of(0.99), &inverse, 0.01));
    }

    #[test]
    fn effective_weights_are_those_of_the_formula() {
        let beta: f64 = 0.999;
        let raw: Vec<f64> =
            COUNTS.iter().map(|&n| (1.0 - beta) / (1.0 - beta.powf(n.max(1) as f64))).collect();
        let mean = raw.iter().sum::<f64>() / 6.0;
        let expected: Vec<f64> = raw.iter().map(|weight| weight / mean).collect();
        assert!(close(&ClassWeights::Effective { beta }.weights(&COUNTS).unwrap(), &expected, 1e-12));
    }

    #[test]
    fn weights_have_mean_one_and_never_fall_with_rarity() {
        for rule in [
            ClassWeights::Inverse { power: 0.0 },
            ClassWeights::Inverse { power: 0.5 },
            ClassWeights::Inverse { power: 1.0 },
            ClassWeights::Effective { beta: 0.9999 },
        ] {
            let weights = rule.weights(&COUNTS).unwrap();
            assert!((weights.iter().sum::<f64>() / 6.0 - 1.0).abs() < 1e-12, "{rule:?}");
            assert!(weights.windows(2).all(|pair| pair[0] <= pair[1]), "{rule:?}");
            // A class that training never saw weighs as one that it saw once.
            assert_eq!(weights[4], weights[5]);
        }
    }

    #[test]
    fn rule_in_a_file_gives_the_list_that_it_makes() {
        let of = |text: &str| toml::from_str::<ClassWeights>(text).map(|rule| rule.weights(&COUNTS).unwrap());
        let bits = |weights: Vec<f64>| weights.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        let list = ClassWeights::Effective { beta: 0.9999 }.weights(&COUNTS).unwrap();
        assert_eq!(bits(of("rule = 'effective'").unwrap()), bits(list));
        let list = ClassWeights::Inverse { power: 0.5 }.weights(&COUNTS).unwrap();
        assert_eq!(bits(of("rule = 'inverse'\npower = 0.5").unwrap()), bits(list));
        assert!(of("rule = 'inverse'\nbeta = 0.5").is_err());
    }

    #[test]
    fn rule_out_of_its_range_is_refused() {
        let refused = |rule: ClassWeights| rule.weights(&COUNTS).unwrap_err().to_string();
        for beta in [1.0, -0.1, f64::NAN] {
            assert!(refused(ClassWeights::Effective { beta }).contains("class_weights.beta: given"));
        }
        for power in [-1.0, f64::INFINITY, f64::NAN] {
            assert!(refused(ClassWeights::Inverse { power }).contains("class_weights.power: given"));
        }
        assert!(ClassWeights::Inverse { power: 1.0 }.weights(&[]).is_err());
    }
}
