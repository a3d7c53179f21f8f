//! Exact statistics of a synthetic language: stationary contexts, entropy rate, unigrams.

use super::draw::Sampler;
use super::language::Language;
use crate::CorpusError;
use crate::observer::{Observer, Progress, Unit};

/// Power iteration ends when the distribution changes by less than this (sum of absolute changes).
const TOLERANCE: f64 = 1e-14;
const MOST_STEPS: usize = 100_000;

/// Exact statistics of a language, in f64.
pub(crate) struct Facts {
    /// Stationary distribution of the contexts, `pi`, `[C]`: share of the tokens drawn in each.
    pub(crate) stationary: Vec<f64>,
    /// Entropy rate, `sum_c pi_c H_c`, nats a token.
    pub(crate) entropy_rate: f64,
    /// Entropy of the stationary unigrams, nats.
    pub(crate) unigram_entropy: f64,
}

impl Facts {
    /// Cost: O(C M) a power step, O(C V rank) for the unigrams.
    pub(crate) fn of(
        language: &Language,
        sampler: &Sampler,
        observer: &mut dyn Observer,
    ) -> Result<Facts, CorpusError> {
        let stationary = stationary(language, sampler.class_probs())?;
        let entropy_rate =
            stationary.iter().zip(sampler.entropies()).map(|(share, entropy)| share * entropy).sum();
        let unigrams = unigrams(language, sampler, &stationary, observer)?;
        let unigram_entropy =
            -unigrams.iter().filter(|&&prob| prob > 0.0).map(|prob| prob * prob.ln()).sum::<f64>();
        Ok(Facts { stationary, entropy_rate, unigram_entropy })
    }
}

/// pi with pi = pi T by power iteration, T the chain of contexts. Every word can follow every
/// context, so the chain over the contexts that occur has one stationary distribution and tends to
/// it.
fn stationary(language: &Language, class_probs: &[f64]) -> Result<Vec<f64>, CorpusError> {
    let (contexts, classes) = (language.contexts(), language.classes());
    let mut share = vec![1.0 / contexts as f64; contexts];
    let mut next = vec![0.0; contexts];
    // Rounding keeps a long sum from settling to the last bit.
    let tolerance = TOLERANCE * (contexts as f64).sqrt().max(1.0);
    for _ in 0..MOST_STEPS {
        next.fill(0.0);
        for (context, probs) in class_probs.chunks_exact(classes).enumerate() {
            for (class, prob) in probs.iter().enumerate() {
                next[language.next_context(context, class)] += share[context] * prob;
            }
        }
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|value| *value /= total);
        let change: f64 = next.iter().zip(&share).map(|(new, old)| (new - old).abs()).sum();
        std::mem::swap(&mut share, &mut next);
        if change < tolerance {
            return Ok(share);
        }
    }
    Err(CorpusError::Language(format!(
        "the contexts' shares did not settle in {MOST_STEPS} steps; expected a smaller strength"
    )))
}

/// p(w) = sum_c pi_c p(w | c), `[V]`.
fn unigrams(
    language: &Language,
    sampler: &Sampler,
    stationary: &[f64],
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, CorpusError> {
    let mut unigrams = vec![0.0; language.vocab_size()];
    let mut progress = Progress::new(observer, "unigrams", Unit::Items, stationary.len() as u64);
    for (context, (&share, log_z)) in stationary.iter().zip(sampler.log_z()).enumerate() {
        progress.at(context as u64)?;
        if share > 0.0 {
            for (word, prob) in unigrams.iter_mut().enumerate() {
                *prob += share * (language.score(context, word) - log_z).exp();
            }
        }
    }
    progress.finish();
    Ok(unigrams)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::observer::Unobserved;
    use crate::synth::options::Tables;
    use crate::{Split, SynthOptions};

    struct Fixture {
        language: Language,
        sampler: Sampler,
        facts: Facts,
    }

    fn make(options: SynthOptions) -> Fixture {
        make_by(Tables::Alias, options)
    }

    fn make_by(tables: Tables, options: SynthOptions) -> Fixture {
        options.validate().unwrap();
        let language = Language::new(&options);
        let sampler = Sampler::new(&language, tables, &mut Unobserved).unwrap();
        let facts = Facts::of(&language, &sampler, &mut Unobserved).unwrap();
        Fixture { language, sampler, facts }
    }

    fn small(order: usize) -> SynthOptions {
        SynthOptions { vocab_size: 200, classes: 5, order, rank: 4, ..SynthOptions::default() }
    }

    #[test]
    fn the_stationary_distribution_is_kept_by_a_step() {
        for order in [1, 2] {
            let Fixture { language, sampler, facts } = make(small(order));
            let mut next = vec![0.0; language.contexts()];
            // Word by word, not by class: an independent sum.
            for (context, share) in facts.stationary.iter().enumerate() {
                for word in 0..language.vocab_size() {
                    let prob = (language.score(context, word) - sampler.log_z()[context]).exp();
                    next[language.next_context(context, language.class(word))] += share * prob;
                }
            }
            let change: f64 = next.iter().zip(&facts.stationary).map(|(new, old)| (new - old).abs()).sum();
            assert!(change < 1e-12, "order {order}: {change}");
        }
    }

    #[test]
    fn mean_log_probability_tends_to_minus_the_entropy_rate() {
        for order in [1, 2] {
            let Fixture { language, sampler, facts } = make(small(order));
            let mut words = sampler.draw(&language, &facts.stationary, Split::Train).unwrap();
            // Means of batches are nearly independent, though neighbouring tokens are not.
            let (batches, batch) = (100, 2000);
            let means: Vec<f64> = (0..batches)
                .map(|_| (0..batch).map(|_| words.next_word().1).sum::<f64>() / f64::from(batch))
                .collect();
            let mean = means.iter().sum::<f64>() / f64::from(batches);
            let variance =
                means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(batches - 1);
            let error = (variance / f64::from(batches)).sqrt();
            assert!((mean + facts.entropy_rate).abs() < 4.0 * error, "{mean} {} {error}", facts.entropy_rate);
            // The test must be able to tell the truth from the unigram entropy.
            assert!(facts.unigram_entropy - facts.entropy_rate > 20.0 * error);
        }
    }

    #[test]
    fn blocks_have_the_statistics_of_the_tables_to_the_last_bit() {
        // More words than a block.
        for options in [small(1), small(2), SynthOptions { vocab_size: 1000, rank: 40, ..small(2) }] {
            let [alias, blocks] =
                [Tables::Alias, Tables::Blocks].map(|tables| make_by(tables, options.clone()));
            assert_eq!(alias.sampler.log_z(), blocks.sampler.log_z());
            assert_eq!(alias.sampler.class_probs(), blocks.sampler.class_probs());
            assert_eq!(alias.facts.stationary, blocks.facts.stationary);
            assert_eq!(alias.facts.entropy_rate, blocks.facts.entropy_rate);
            assert_eq!(alias.facts.unigram_entropy, blocks.facts.unigram_entropy);
        }
    }

    #[test]
    fn entropy_rate_of_blocks_is_that_of_an_enumeration() {
        let Fixture { language, sampler, facts } =
            make_by(Tables::Blocks, SynthOptions { vocab_size: 700, ..small(2) });
        let mut rate = 0.0;
        for (context, share) in facts.stationary.iter().enumerate() {
            let log_probs = (0..700).map(|word| language.score(context, word) - sampler.log_z()[context]);
            let (sum, entropy) = log_probs
                .fold((0.0, 0.0), |(sum, entropy), value| (sum + value.exp(), entropy - value * value.exp()));
            assert!((sum - 1.0_f64).abs() < 1e-12, "context {context}: {sum}");
            rate += share * entropy;
        }
        assert!((rate - facts.entropy_rate).abs() < 1e-11, "{rate} {}", facts.entropy_rate);
    }

    #[test]
    fn drawn_words_follow_the_stationary_unigrams() {
        for tables in [Tables::Alias, Tables::Blocks] {
            drawn_words_follow_the_unigrams_by(tables);
        }
    }

    fn drawn_words_follow_the_unigrams_by(tables: Tables) {
        let Fixture { language, sampler, facts } = make_by(tables, small(2));
        let expected = unigrams(&language, &sampler, &facts.stationary, &mut Unobserved).unwrap();
        assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let draws = 200_000;
        let mut counts = vec![0_u32; 200];
        let mut words = sampler.draw(&language, &facts.stationary, Split::Valid).unwrap();
        // Every 10th word: the dependence of neighbours would widen the chi-square distribution.
        for _ in 0..draws {
            for _ in 0..9 {
                words.next_word();
            }
            counts[words.next_word().0] += 1;
        }
        let term = |(&count, prob): (&u32, &f64)| {
            (f64::from(count) - prob * f64::from(draws)).powi(2) / (prob * f64::from(draws))
        };
        let chi_square: f64 = counts.iter().zip(&expected).map(term).sum();
        // 199 degrees of freedom: mean 199, standard deviation 20.
        assert!((119.0..299.0).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn without_strength_the_entropy_rate_is_the_unigram_entropy() {
        let Fixture { facts, .. } = make(SynthOptions { strength: 0.0, ..small(2) });
        assert!((facts.entropy_rate - facts.unigram_entropy).abs() < 1e-12);
        // Uniform: ln V.
        let Fixture { facts, .. } = make(SynthOptions { strength: 0.0, exponent: 0.0, ..small(1) });
        assert!((facts.entropy_rate - 200.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn the_default_language_leaves_a_nat_to_learn() {
        let Fixture { language, facts, .. } = make(SynthOptions::default());
        assert_eq!((language.vocab_size(), language.contexts()), (20_000, 256));
        let learnable = facts.unigram_entropy - facts.entropy_rate;
        assert!((0.8..1.2).contains(&learnable), "{learnable}");
    }
}
