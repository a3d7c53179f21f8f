//! Options of a synthetic language.

use serde::{Deserialize, Serialize};

use crate::{CorpusError, Split};

/// Most bytes of sampling tables and vectors.
const TABLE_LIMIT: u128 = 2 << 30;
/// Bytes of an alias table for one word in one context: an f64 and a u32.
const TABLE_ENTRY: u128 = 12;
/// Bytes of one element of a word's or a context's vector.
const ELEMENT: u128 = 8;

/// Options of [`crate::synthesize`], which says what they mean for the language.
///
/// The defaults are a language of 20,000 words that a small n-gram model can learn in a minute.
/// Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynthOptions {
    /// Root seed, less than 2^63 (an integer of TOML). Same seed and options: the same bytes.
    pub seed: u64,
    /// V: words, at least 2.
    pub vocab_size: usize,
    /// M: hidden word classes, 1 to V.
    pub classes: usize,
    /// Number of preceding words in the hidden context: 1 or 2.
    pub order: usize,
    /// Rank of the product in the conditional log-probabilities, at least 1.
    pub rank: usize,
    /// Share, 0 to 1, of the variance of a context's vector that belongs to its pair of classes and
    /// to neither class alone. The higher, the harder to learn. By default 0.25; order 1 has no
    /// pairs, so it cannot be given there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interaction: Option<f64>,
    /// Strength of the context's effect on the distribution, 0 (not at all) to 10: the standard
    /// deviation of what it adds to a word's logit.
    pub strength: f64,
    /// s of the Zipf-Mandelbrot weights -s ln(rank + q), 0 to 10.
    pub exponent: f64,
    /// q of the Zipf-Mandelbrot weights, at least 0.
    pub shift: f64,
    /// Tokens of the training split, at least 1.
    pub train_tokens: u64,
    /// Tokens of the validation split.
    pub valid_tokens: u64,
    /// Tokens of the test split.
    pub test_tokens: u64,
}

impl Default for SynthOptions {
    fn default() -> Self {
        SynthOptions {
            seed: 1,
            vocab_size: 20_000,
            classes: 16,
            order: 2,
            rank: 8,
            interaction: None,
            strength: 1.5,
            exponent: 1.0,
            shift: 2.7,
            train_tokens: 1_500_000,
            valid_tokens: 50_000,
            test_tokens: 50_000,
        }
    }
}

impl SynthOptions {
    /// Tokens of a split.
    pub(crate) fn tokens(&self, split: Split) -> u64 {
        match split {
            Split::Train => self.train_tokens,
            Split::Valid => self.valid_tokens,
            Split::Test => self.test_tokens,
        }
    }

    /// The share of the variance that belongs to the pair of classes.
    pub(crate) fn interaction(&self) -> f64 {
        self.interaction.unwrap_or(if self.order == 1 { 1.0 } else { 0.25 })
    }

    /// C: M or M^2.
    pub(crate) fn contexts(&self) -> usize {
        self.classes.saturating_pow(self.order as u32)
    }

    pub(crate) fn validate(&self) -> Result<(), CorpusError> {
        let whole = |option, given: usize, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => Err(CorpusError::option(option, given, expected)),
        };
        let number = |option, given: f64, low: f64, high: f64| match (low..=high).contains(&given) {
            true => Ok(()),
            false => Err(CorpusError::option(option, given, format!("a number from {low} to {high}"))),
        };
        if i64::try_from(self.seed).is_err() {
            return Err(CorpusError::option("seed", self.seed, "less than 2^63"));
        }
        let ids = 2..=u32::MAX as usize;
        whole("vocab_size", self.vocab_size, ids.contains(&self.vocab_size), "2 or more, less than 2^32")?;
        let classes_fit = (1..=self.vocab_size).contains(&self.classes);
        whole("classes", self.classes, classes_fit, "at least 1, at most vocab_size")?;
        whole("order", self.order, matches!(self.order, 1 | 2), "1 or 2")?;
        whole(
            "rank",
            self.rank,
            (1..=self.vocab_size).contains(&self.rank),
            "at least 1, at most vocab_size",
        )?;
        if let Some(interaction) = self.interaction {
            number("interaction", interaction, 0.0, 1.0)?;
            if self.order == 1 {
                return Err(CorpusError::option("interaction", interaction, "no value where order is 1"));
            }
        }
        number("strength", self.strength, 0.0, 10.0)?;
        number("exponent", self.exponent, 0.0, 10.0)?;
        number("shift", self.shift, 0.0, 1e9)?;
        if self.train_tokens == 0 {
            return Err(CorpusError::EmptyTrain {
                sources: "a synthetic language with train_tokens = 0".to_owned(),
            });
        }
        let [contexts, vocab_size, rank] = [self.contexts(), self.vocab_size, self.rank].map(|n| n as u64);
        let (c, v) = (u128::from(contexts), u128::from(vocab_size));
        let bytes = c * v * TABLE_ENTRY + (c + v) * u128::from(rank) * ELEMENT;
        if bytes > TABLE_LIMIT {
            return Err(CorpusError::TooLarge { contexts, vocab_size, rank, bytes, limit: TABLE_LIMIT });
        }
        Ok(())
    }
}
