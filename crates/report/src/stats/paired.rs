//! Paired comparison of two outputs on the seeds that both ran: the seed decides initialisation and
//! order of the data, so the difference per seed varies less than either side does.

use std::collections::BTreeMap;

use super::Estimate;

/// Verdict of the shared seeds on the difference `candidate - reference` of a quantity where less
/// is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// No seed ran on both sides.
    NoSharedSeed,
    /// A shared seed ended with a loss that is infinite or not a number. To leave it out would
    /// flatter the side that broke.
    NotFinite {
        /// Shared seeds on which the candidate's value is not finite.
        candidate: usize,
        /// Shared seeds on which the reference's value is not finite.
        reference: usize,
        /// Shared seeds.
        shared: usize,
    },
    /// One shared seed: a difference, but no idea of its spread.
    OneSeed {
        /// The difference on that seed.
        difference: f64,
    },
    /// The 95 % interval of the mean difference covers zero.
    NoDifference(Estimate),
    /// The interval lies below zero: the candidate is better.
    Direction(Estimate),
    /// The interval lies above zero: the candidate is worse.
    Worse(Estimate),
}

/// Compares two outputs from `(seed, value)` pairs by a paired t interval at 95 %.
pub fn compare(candidate: &[(u64, f64)], reference: &[(u64, f64)]) -> Verdict {
    let reference: BTreeMap<_, _> = reference.iter().copied().collect();
    let pairs: Vec<(f64, f64)> =
        candidate.iter().filter_map(|(seed, value)| Some((*value, *reference.get(seed)?))).collect();
    let broken = |side: fn(&(f64, f64)) -> f64| pairs.iter().filter(|pair| !side(pair).is_finite()).count();
    let (candidate, reference) = (broken(|pair| pair.0), broken(|pair| pair.1));
    if candidate + reference > 0 {
        return Verdict::NotFinite { candidate, reference, shared: pairs.len() };
    }
    let differences: Vec<f64> = pairs.iter().map(|(value, base)| value - base).collect();
    match Estimate::of(&differences) {
        None => Verdict::NoSharedSeed,
        Some(Estimate { mean, half_width: None, .. }) => Verdict::OneSeed { difference: mean },
        Some(estimate) => match estimate.ends() {
            (low, _) if low > 0.0 => Verdict::Worse(estimate),
            (_, high) if high < 0.0 => Verdict::Direction(estimate),
            _ => Verdict::NoDifference(estimate),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_few_shared_seeds_give_no_verdict() {
        assert_eq!(compare(&[(1, 5.0)], &[(2, 5.0)]), Verdict::NoSharedSeed);
        assert_eq!(
            compare(&[(1, 5.0), (3, 9.0)], &[(1, 4.5), (2, 1.0)]),
            Verdict::OneSeed { difference: 0.5 }
        );
    }

    #[test]
    fn a_loss_that_is_not_finite_forbids_a_verdict() {
        let not_finite = |candidate, reference, shared| Verdict::NotFinite { candidate, reference, shared };
        let reference = [(1, 4.5), (2, 4.6), (3, 4.4)];
        assert_eq!(compare(&[(1, f64::NAN)], &reference), not_finite(1, 0, 1));
        // The two other seeds are better, and still there is no verdict.
        assert_eq!(compare(&[(1, 4.0), (2, 4.1), (3, f64::INFINITY)], &reference), not_finite(1, 0, 3));
        assert_eq!(compare(&reference, &[(1, f64::INFINITY), (2, 4.0)]), not_finite(0, 1, 2));
        // An infinite value on a seed that the other side lacks is no pair.
        assert_eq!(
            compare(&[(1, 4.75), (9, f64::INFINITY)], &reference),
            Verdict::OneSeed { difference: 0.25 }
        );
    }

    #[test]
    fn pairing_sees_a_small_shift_under_a_large_spread() {
        // The seeds differ by whole nats, the outputs by 0.1: an unpaired comparison could not
        // tell.
        let reference = [(1, 4.0), (2, 6.0), (3, 5.0)];
        let worse: Vec<_> = reference.iter().zip([0.10, 0.11, 0.09]).map(|(&(s, v), d)| (s, v + d)).collect();
        let better: Vec<_> =
            reference.iter().zip([0.10, 0.11, 0.09]).map(|(&(s, v), d)| (s, v - d)).collect();
        let mixed: Vec<_> =
            reference.iter().zip([0.10, -0.12, 0.03]).map(|(&(s, v), d)| (s, v + d)).collect();
        let Verdict::Worse(estimate) = compare(&worse, &reference) else {
            panic!("{:?}", compare(&worse, &reference))
        };
        // s = 0.01, t(0.975, 2) = 4.302653: half width 4.302653 * 0.01 / sqrt(3) = 0.0248414.
        assert!(
            (estimate.mean - 0.1).abs() < 1e-12 && (estimate.half_width.unwrap() - 0.024_841_4).abs() < 1e-6
        );
        assert!(matches!(compare(&better, &reference), Verdict::Direction(_)));
        assert!(matches!(compare(&mixed, &reference), Verdict::NoDifference(_)));
        assert!(
            matches!(compare(&reference, &reference), Verdict::NoDifference(e) if e.half_width == Some(0.0))
        );
    }

    proptest! {
        #[test]
        fn swapping_the_sides_swaps_the_verdict(
            values in prop::collection::vec((0.0..9.0f64, 0.0..9.0f64), 2..6)
        ) {
            let left: Vec<_> = values.iter().enumerate().map(|(seed, v)| (seed as u64, v.0)).collect();
            let right: Vec<_> = values.iter().enumerate().map(|(seed, v)| (seed as u64, v.1)).collect();
            match (compare(&left, &right), compare(&right, &left)) {
                (Verdict::Direction(a), Verdict::Worse(b))
                | (Verdict::Worse(a), Verdict::Direction(b))
                | (Verdict::NoDifference(a), Verdict::NoDifference(b)) => {
                    prop_assert!((a.mean + b.mean).abs() <= 1e-12);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
