//! Quotas of the classes in a pass: over-sampling, under-sampling and all between.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Remainders closer than this are equal: they differ by rounding alone.
const EQUAL: f64 = 1e-9;

/// Sampling by class, the key `training.sampling`.
///
/// Class `c` with `n_c` of `N` training examples gets a share of the draws of a pass that is
/// `(1 - mix) n_c / N + mix n_c^power / sum_c n_c^power`. With power 1 that is natural sampling, .5
/// by the square root (Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining",
/// 2018, arXiv 1805.00932), 0 class-balanced; a `mix` that grows from 0 to 1 is progressively
/// balanced sampling (Kang et al., "Decoupling Representation and Classifier for Long-Tailed
/// Recognition", 2020, arXiv 1910.09217). Classes without examples get nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Exponent q of the counts, at least 0.
    pub power: f64,
    /// Share of the powered distribution, from 0 to 1.
    pub mix: f64,
    /// Draws of a pass.
    pub pass: PassLength,
    /// Whether under-sampling throws the rest of a class away for good, as the classical remedy
    /// does, instead of drawing anew in each pass. With `pass = "min"` only.
    pub fixed: bool,
}

/// Number of draws of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassLength {
    /// One draw for each training example.
    #[default]
    Train,
    /// Classes times the least count: random under-sampling where the power is 0.
    Min,
    /// Classes times the greatest count: random over-sampling where the power is 0.
    Max,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { power: 1.0, mix: 1.0, pass: PassLength::Train, fixed: false }
    }
}

impl Sampling {
    /// Draws of one pass. Classes are those with examples.
    pub fn draws(&self, counts: &[u64]) -> u64 {
        let seen = || counts.iter().copied().filter(|&count| count > 0);
        let classes = seen().count() as u64;
        match self.pass {
            PassLength::Train => seen().sum(),
            PassLength::Min => classes.saturating_mul(seen().min().unwrap_or(0)),
            PassLength::Max => classes.saturating_mul(seen().max().unwrap_or(0)),
        }
    }

    /// Draws of each class in a pass: their sum is [`Sampling::draws`], each within 1 of its share.
    ///
    /// The whole parts of the shares are given out first, then one draw more to the largest
    /// remainders, of equal ones to the least id. Cost: `O(C log C)`.
    ///
    /// ```
    /// use lexmax_dataset::{PassLength, Sampling};
    /// # fn main() -> Result<(), lexmax_dataset::DatasetError> {
    /// let counts = [60, 30, 10];
    /// let balanced = Sampling { power: 0.0, ..Sampling::default() };
    /// assert_eq!(balanced.quotas(&counts)?, [34, 33, 33]);
    /// let over = Sampling { pass: PassLength::Max, ..balanced };
    /// assert_eq!(over.quotas(&counts)?, [60, 60, 60]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A power that is negative or not finite, a mix outside 0 to 1, `fixed` with another pass than
    /// `min`, no example, more draws than a machine can hold, counts whose powers do not sum to a
    /// finite number.
    pub fn quotas(&self, counts: &[u64]) -> Result<Vec<u64>, DatasetError> {
        self.validate()?;
        let draws = self.draws(counts);
        if draws == 0 {
            return Err(DatasetError::option("sampling", "no training example", "at least one"));
        }
        if u32::try_from(draws).is_err() {
            return Err(DatasetError::option("sampling.pass", format!("{draws} draws"), "less than 2^32"));
        }
        // Classes without examples are left out before any power: 0^0 is 1.
        let powered = |count: u64| if count == 0 { 0.0 } else { (count as f64).powf(self.power) };
        let rows: f64 = counts.iter().map(|&count| count as f64).sum();
        let all: f64 = counts.iter().map(|&count| powered(count)).sum();
        if !all.is_finite() {
            return Err(DatasetError::option("sampling.power", self.power, "powers with a finite sum"));
        }
        let share = |count: u64| (1.0 - self.mix) * count as f64 / rows + self.mix * powered(count) / all;
        let shares: Vec<f64> = counts.iter().map(|&count| share(count) * draws as f64).collect();
        let mut quotas: Vec<u64> = shares.iter().map(|share| (share + EQUAL).floor() as u64).collect();
        let mut order: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] > 0).collect();
        let remainder = |class: usize| ((shares[class] - quotas[class] as f64) / EQUAL).round() as i64;
        order.sort_by_key(|&class| std::cmp::Reverse(remainder(class)));
        let given: u64 = quotas.iter().sum();
        for &class in order.iter().cycle().take(draws.saturating_sub(given) as usize) {
            quotas[class] += 1;
        }
        Ok(quotas)
    }

    fn validate(&self) -> Result<(), DatasetError> {
        if !(self.power.is_finite() && self.power >= 0.0) {
            return Err(DatasetError::option("sampling.power", self.power, "a finite number, at least 0"));
        }
        if !(0.0..=1.0).contains(&self.mix) {
            return Err(DatasetError::option("sampling.mix", self.mix, "from 0 to 1"));
        }
        if self.fixed && self.pass != PassLength::Min {
            let expected = "false, or `pass = \"min\"`: only under-sampling throws examples away";
            return Err(DatasetError::option("sampling.fixed", "true", expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn quotas(sampling: Sampling, counts: &[u64]) -> Vec<u64> {
        sampling.quotas(counts).unwrap()
    }

    const BALANCED: Sampling = Sampling { power: 0.0, mix: 1.0, pass: PassLength::Train, fixed: false };

    #[test]
    fn quotas_by_power_and_pass_are_exact() {
        let counts = [100, 25, 4, 0];
        assert_eq!(quotas(Sampling::default(), &counts), counts);
        // Roots 10, 5 and 2 of 17: of 129 draws 75.88, 37.94 and 15.18.
        assert_eq!(quotas(Sampling { power: 0.5, ..BALANCED }, &counts), [76, 38, 15, 0]);
        assert_eq!(quotas(BALANCED, &counts), [43, 43, 43, 0]);
        assert_eq!(quotas(Sampling { pass: PassLength::Max, ..BALANCED }, &counts), [100, 100, 100, 0]);
        assert_eq!(quotas(Sampling { pass: PassLength::Min, ..BALANCED }, &counts), [4, 4, 4, 0]);
        // Half way: 71.5, 34 and 23.5; the tie goes to the lesser id.
        assert_eq!(quotas(Sampling { mix: 0.5, ..BALANCED }, &counts), [72, 34, 23, 0]);
    }

    #[test]
    fn equal_remainders_go_to_the_least_ids() {
        assert_eq!(quotas(BALANCED, &[3, 3, 2, 2]), [3, 3, 2, 2]);
        assert_eq!(quotas(BALANCED, &[1, 1, 0, 9]), [4, 4, 0, 3]);
    }

    #[test]
    fn sampling_out_of_its_range_is_refused() {
        let refused = |sampling: Sampling, counts: &[u64]| sampling.quotas(counts).unwrap_err().to_string();
        for power in [-1.0, f64::NAN] {
            assert!(refused(Sampling { power, ..BALANCED }, &[1]).contains("sampling.power"));
        }
        for mix in [-0.1, 1.1, f64::NAN] {
            assert!(refused(Sampling { mix, ..BALANCED }, &[1]).contains("sampling.mix"));
        }
        assert!(refused(Sampling { fixed: true, ..BALANCED }, &[1]).contains("sampling.fixed"));
        assert!(refused(BALANCED, &[0, 0]).contains("no training example"));
        assert!(refused(BALANCED, &[]).contains("no training example"));
        assert!(refused(Sampling { power: 200.0, ..BALANCED }, &[100_000, 1]).contains("finite sum"));
        let huge = Sampling { pass: PassLength::Max, ..BALANCED };
        assert!(refused(huge, &[1 << 31, 1 << 31]).contains("less than 2^32"));
    }

    proptest! {
        #[test]
        fn quotas_sum_to_the_pass_and_stay_near_their_share(
            counts in proptest::collection::vec(0_u64..400, 1..40),
            power in 0.0..1.5_f64,
            mix in 0.0..=1.0_f64,
            pass in prop_oneof![Just(PassLength::Train), Just(PassLength::Min), Just(PassLength::Max)],
        ) {
            let sampling = Sampling { power, mix, pass, fixed: false };
            prop_assume!(counts.iter().any(|&count| count > 0));
            let quotas = quotas(sampling, &counts);
            let draws = sampling.draws(&counts);
            prop_assert_eq!(quotas.iter().sum::<u64>(), draws);
            let seen: Vec<f64> = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64).collect();
            let (rows, all): (f64, f64) = (seen.iter().sum(), seen.iter().map(|n| n.powf(power)).sum());
            for (&count, &quota) in counts.iter().zip(&quotas) {
                let n = count as f64;
                let powered = if count == 0 { 0.0 } else { n.powf(power) };
                let share = ((1.0 - mix) * n / rows + mix * powered / all) * draws as f64;
                prop_assert!((quota as f64 - share).abs() < 1.0 + 1e-6, "{} for {}", quota, share);
                prop_assert!(count > 0 || quota == 0);
            }
            prop_assert_eq!(super::tests::quotas(Sampling::default(), &counts), counts);
        }
    }
}
