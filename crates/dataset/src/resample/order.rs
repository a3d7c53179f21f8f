//! Order of the examples in a pass, a function of seed and pass alone.

use lexmax_kernels::seed::{Generator, generator};
use rand::seq::SliceRandom;

use super::quotas::Sampling;
use crate::DatasetError;

/// Draws training examples by class.
///
/// A pass draws each class as often as its quota says. Inside a class the examples come in shuffled
/// rounds, so none is drawn twice before all are drawn once, and the draws of two examples of a
/// class differ by at most 1. Everything follows from the seed, the pass and the mix: a run that
/// stopped at some position goes on with `order(pass, mix)[position..]` and needs no saved state.
///
/// ```
/// use lexmax_dataset::{Sampler, Sampling};
/// # fn main() -> Result<(), lexmax_dataset::DatasetError> {
/// // Classes of five training examples.
/// let sampler = Sampler::new(&[0, 0, 0, 0, 1], 2, Sampling { power: 0.0, ..Sampling::default() }, 7)?;
/// let order = sampler.order(0, 1.0)?;
/// // Five draws: three of class 0, two of the only example of class 1.
/// assert_eq!(order.iter().filter(|&&example| example == 4).count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    seed: u64,
    /// Examples of each class that may be drawn, in their order.
    examples: Vec<Vec<u32>>,
    counts: Vec<u64>,
}

impl Sampler {
    /// Sampler of examples with these classes, each below `class_count`. Memory: 4 bytes an
    /// example.
    ///
    /// # Errors
    /// A class of `class_count` or more, more examples than u32 counts, and those of
    /// [`Sampling::quotas`].
    pub fn new(
        classes: &[u32],
        class_count: usize,
        sampling: Sampling,
        seed: u64,
    ) -> Result<Sampler, DatasetError> {
        if u32::try_from(classes.len()).is_err() {
            let given = format!("{} examples", classes.len());
            return Err(DatasetError::option("sampling", given, "less than 2^32"));
        }
        let mut examples = vec![Vec::new(); class_count];
        for (example, &class) in (0_u32..).zip(classes) {
            match examples.get_mut(class as usize) {
                Some(of_class) => of_class.push(example),
                None => {
                    let given = format!("class {class} of example {example}");
                    let expected = format!("classes below {class_count}");
                    return Err(DatasetError::option("sampling", given, expected));
                }
            }
        }
        let counts: Vec<u64> = examples.iter().map(|of_class| of_class.len() as u64).collect();
        let quotas = sampling.quotas(&counts)?;
        if sampling.fixed {
            let mut rng = generator(seed, "kept", 0);
            for (of_class, &quota) in examples.iter_mut().zip(&quotas) {
                of_class.shuffle(&mut rng);
                of_class.truncate(usize::try_from(quota).unwrap_or(usize::MAX));
                of_class.sort_unstable();
            }
        }
        Ok(Sampler { sampling, seed, examples, counts })
    }

    /// Draws of one pass, the same for every pass and mix.
    pub fn draws(&self) -> u64 {
        self.sampling.draws(&self.counts)
    }

    /// Examples in the order in which pass `pass` draws them, with `mix` in the place of
    /// [`Sampling::mix`], so that a schedule can move it from pass to pass. Cost and memory:
    /// `O(N)`.
    ///
    /// # Errors
    /// A mix outside 0 to 1; with [`Sampling::fixed`] another mix than the one that it was made
    /// with, since what it threw away cannot be drawn.
    pub fn order(&self, pass: u64, mix: f64) -> Result<Vec<u32>, DatasetError> {
        if self.sampling.fixed && mix != self.sampling.mix {
            let expected = format!("{}, as fixed sampling began", self.sampling.mix);
            return Err(DatasetError::option("sampling.mix", mix, expected));
        }
        let quotas = Sampling { mix, ..self.sampling }.quotas(&self.counts)?;
        let mut rng = generator(self.seed, "order", pass);
        // The order of the classes first: shuffled draws would mix the rounds of a class.
        let mut classes = Vec::with_capacity(usize::try_from(self.draws()).unwrap_or(0));
        for (class, &quota) in quotas.iter().enumerate() {
            classes.extend(std::iter::repeat_n(class, usize::try_from(quota).unwrap_or(0)));
        }
        classes.shuffle(&mut rng);
        let mut rounds: Vec<Round> = self.examples.iter().map(|of_class| Round::of(of_class)).collect();
        Ok(classes.into_iter().filter_map(|class| rounds[class].next(&mut rng)).collect())
    }
}

/// Examples of one class, handed out in shuffled rounds.
struct Round {
    examples: Vec<u32>,
    used: usize,
}

impl Round {
    fn of(examples: &[u32]) -> Round {
        Round { examples: examples.to_vec(), used: examples.len() }
    }

    /// The next example; none of a class without examples, whose quota is 0.
    fn next(&mut self, rng: &mut Generator) -> Option<u32> {
        if self.used == self.examples.len() {
            self.examples.shuffle(rng);
            self.used = 0;
        }
        let example = self.examples.get(self.used).copied();
        self.used += 1;
        example
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::PassLength;
    use proptest::prelude::*;

    const BALANCED: Sampling = Sampling { power: 0.0, mix: 1.0, pass: PassLength::Train, fixed: false };

    fn sampler(classes: &[u32], sampling: Sampling, seed: u64) -> Sampler {
        Sampler::new(classes, 6, sampling, seed).unwrap()
    }

    fn draws_of(order: &[u32], examples: usize) -> Vec<u64> {
        let mut draws = vec![0; examples];
        order.iter().for_each(|&example| draws[example as usize] += 1);
        draws
    }

    proptest! {
        #[test]
        fn examples_of_a_class_are_drawn_as_often_but_for_one(
            classes in proptest::collection::vec(0_u32..5, 1..60),
            (power, mix, pass) in (0.0..1.2_f64, 0.0..=1.0_f64, 0_u64..4),
            length in prop_oneof![Just(PassLength::Train), Just(PassLength::Min), Just(PassLength::Max)],
        ) {
            let sampling = Sampling { power, mix, pass: length, fixed: false };
            let sampler = sampler(&classes, sampling, 9);
            let order = sampler.order(pass, mix).unwrap();
            prop_assert_eq!(order.len() as u64, sampler.draws());
            let quotas = sampling.quotas(&sampler.counts).unwrap();
            let draws = draws_of(&order, classes.len());
            for class in 0..5 {
                let of_class: Vec<u64> =
                    (0..classes.len()).filter(|&at| classes[at] == class).map(|at| draws[at]).collect();
                prop_assert_eq!(of_class.iter().sum::<u64>(), quotas[class as usize]);
                let (least, most) = (of_class.iter().min(), of_class.iter().max());
                prop_assert!(most.is_none_or(|most| most - least.unwrap() <= 1));
                // At every position, not only at the end.
                let mut so_far = vec![0_u64; classes.len()];
                for &example in order.iter().filter(|&&example| classes[example as usize] == class) {
                    so_far[example as usize] += 1;
                    let seen = (0..classes.len()).filter(|&at| classes[at] == class).map(|at| so_far[at]);
                    prop_assert!(so_far[example as usize] <= seen.min().unwrap() + 1);
                }
            }
        }

        #[test]
        fn natural_pass_is_a_permutation_of_train(classes in proptest::collection::vec(0_u32..5, 1..80), pass in 0_u64..9) {
            let mut order = sampler(&classes, Sampling::default(), 1).order(pass, 1.0).unwrap();
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..classes.len() as u32));
        }
    }

    #[test]
    fn pass_goes_on_with_the_same_draws_after_a_stop() {
        let classes: Vec<u32> = (0..300).map(|at| at % 7 % 5).collect();
        for sampling in [Sampling::default(), BALANCED, Sampling { pass: PassLength::Max, ..BALANCED }] {
            let whole = sampler(&classes, sampling, 3).order(2, sampling.mix).unwrap();
            for position in [0, 1, 150, whole.len() - 1, whole.len()] {
                // A new process knows seed, pass and position.
                let again = sampler(&classes, sampling, 3).order(2, sampling.mix).unwrap();
                assert_eq!(again[position..], whole[position..]);
            }
            assert_ne!(whole, sampler(&classes, sampling, 3).order(3, sampling.mix).unwrap());
            assert_ne!(whole, sampler(&classes, sampling, 4).order(2, sampling.mix).unwrap());
        }
    }

    #[test]
    fn classes_of_a_pass_are_mixed_from_the_first_draws_on() {
        // Sorted by class, as files often are.
        let classes: Vec<u32> = (0..500).map(|at| at / 100).collect();
        for sampling in [Sampling::default(), BALANCED] {
            let order = sampler(&classes, sampling, 3).order(0, 1.0).unwrap();
            for part in order.chunks(50) {
                let mut seen: Vec<u32> = part.iter().map(|&example| classes[example as usize]).collect();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen, [0, 1, 2, 3, 4]);
            }
        }
    }

    #[test]
    fn fixed_under_sampling_throws_the_rest_away_for_good() {
        let classes: Vec<u32> = (0..104).map(|at| u32::from(at >= 100)).collect();
        let of = |fixed| {
            let sampler = sampler(&classes, Sampling { pass: PassLength::Min, fixed, ..BALANCED }, 5);
            let mut seen: Vec<u32> = (0..6).flat_map(|pass| sampler.order(pass, 1.0).unwrap()).collect();
            seen.sort_unstable();
            seen.dedup();
            (sampler, seen.len())
        };
        let ((fixed, of_fixed), (_, drawn_anew)) = (of(true), of(false));
        assert_eq!(of_fixed, 8);
        // Six passes of 4 of 100 examples.
        assert!(drawn_anew > 20, "{drawn_anew}");
        let error = fixed.order(0, 0.5).unwrap_err().to_string();
        assert!(error.contains("sampling.mix: given 0.5; expected 1"), "{error}");
    }

    #[test]
    fn mix_moves_a_pass_from_natural_to_balanced() {
        let classes: Vec<u32> = (0..100).map(|at| u32::from(at >= 90)).collect();
        let sampler = sampler(&classes, BALANCED, 5);
        let rare = |mix| {
            let order = sampler.order(0, mix).unwrap();
            order.iter().filter(|&&example| example >= 90).count()
        };
        assert_eq!([0.0, 0.5, 1.0].map(rare), [10, 30, 50]);
        assert!(sampler.order(0, 1.5).is_err());
    }

    #[test]
    fn class_beyond_the_number_of_classes_is_refused() {
        let error = Sampler::new(&[0, 6], 6, BALANCED, 1).unwrap_err().to_string();
        assert!(error.contains("class 6 of example 1; expected classes below 6"), "{error}");
    }
}
