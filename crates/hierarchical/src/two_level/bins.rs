//! Cutting ids into classes of about equal mass.

/// First id of each class, and `V` after the last: `classes + 1` numbers for `mass.len()` words.
///
/// Each class takes ids while that brings it closer to an equal share of the mass that is left for
/// it and the classes after it, at least one id, and never so many that a later class would be
/// empty. Mass that is all zero goes to the last.
pub(super) fn class_starts(mass: &[f64], classes: usize) -> Vec<i64> {
    let mut starts = Vec::with_capacity(classes + 1);
    let (mut next, mut left) = (0, mass.iter().sum::<f64>());
    for class in 0..classes - 1 {
        starts.push(next as i64);
        let share = left / (classes - class) as f64;
        let end = mass.len() - (classes - class - 1);
        let mut taken = mass[next];
        next += 1;
        while next < end && taken + mass[next] / 2.0 < share {
            taken += mass[next];
            next += 1;
        }
        left -= taken;
    }
    starts.push(next as i64);
    starts.push(mass.len() as i64);
    starts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::class_starts;

    #[test]
    fn equal_masses_give_equal_sizes() {
        assert_eq!(class_starts(&[1.0; 10], 5), [0, 2, 4, 6, 8, 10]);
        let starts = class_starts(&[1.0; 11], 4);
        let sizes: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(sizes.iter().all(|size| (2..=3).contains(size)), "{sizes:?}");
    }

    #[test]
    fn a_heavy_word_is_a_class_of_its_own() {
        assert_eq!(class_starts(&[90.0, 1.0, 1.0, 1.0, 1.0], 3), [0, 1, 3, 5]);
        assert_eq!(class_starts(&[5.0, 0.0, 0.0, 0.0], 3), [0, 1, 2, 4]);
        assert_eq!(class_starts(&[3.0], 1), [0, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_id_lies_in_one_class_and_no_class_is_empty(
            mut mass in prop::collection::vec(0.0..1e6_f64, 1..200),
            share in 0.0..1.0_f64,
        ) {
            mass.sort_by(|a, b| b.total_cmp(a));
            let classes = 1 + (share * (mass.len() - 1) as f64) as usize;
            let starts = class_starts(&mass, classes);
            prop_assert_eq!(starts.len(), classes + 1);
            prop_assert_eq!((starts[0], starts[classes]), (0, mass.len() as i64));
            prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
        }

        #[test]
        fn classes_of_light_words_share_the_mass(words in 200_usize..400, classes in 2_usize..10) {
            let mass: Vec<f64> = (0..words).map(|rank| 1.0 / (rank as f64 + 50.0)).collect();
            let starts = class_starts(&mass, classes);
            let share = mass.iter().sum::<f64>() / classes as f64;
            for pair in starts.windows(2) {
                let held: f64 = mass[pair[0] as usize..pair[1] as usize].iter().sum();
                // A cut is off by half a word at most, and so is the one before it.
                prop_assert!((held - share).abs() <= mass[0], "{} of {}", held, share);
            }
        }
    }
}
