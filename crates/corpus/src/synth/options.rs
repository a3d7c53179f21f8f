//! Options of a synthetic language.

use serde::{Deserialize, Serialize};

use super::blocks::BLOCK;
use crate::{CorpusError, Split};

/// Most bytes of sampling tables and vectors.
const TABLE_LIMIT: u128 = 2 << 30;
/// Bytes for each word beside its vector where words are drawn by blocks: its weight, class, score
/// and probability.
const WORD: u128 = 28;
/// Bytes of an alias table for one word in one context: an f64 and a u32.
const TABLE_ENTRY: u128 = 12;
/// Bytes of one element of a word's or a context's vector.
const ELEMENT: u128 = 8;
/// Bytes of the sum of a block of words, or of a class, in one context.
const SUM: u128 = 8;

/// Kind of the tables that words are drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// A table of all words for each context: the fastest draws.
    Alias,
    /// Sums of blocks of words, where tables of all words would not fit.
    Blocks,
}

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
        let bytes = self.bytes(self.tables());
        if bytes > TABLE_LIMIT {
            let [contexts, vocab_size, rank] =
                [self.contexts(), self.vocab_size, self.rank].map(|n| n as u64);
            return Err(CorpusError::TooLarge { contexts, vocab_size, rank, bytes, limit: TABLE_LIMIT });
        }
        Ok(())
    }

    /// Tables of all words where they fit.
    pub(crate) fn tables(&self) -> Tables {
        if self.bytes(Tables::Alias) <= TABLE_LIMIT { Tables::Alias } else { Tables::Blocks }
    }

    /// Bytes of tables and vectors.
    fn bytes(&self, tables: Tables) -> u128 {
        let [c, m, v, rank] = [self.contexts(), self.classes, self.vocab_size, self.rank].map(|n| n as u128);
        let vectors = (c + v) * rank * ELEMENT;
        match tables {
            Tables::Alias => c * v * TABLE_ENTRY + vectors,
            Tables::Blocks => c * (v.div_ceil(BLOCK as u128) + m) * SUM + v * WORD + vectors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vocabularies_too_large_for_tables_take_blocks() {
        let options = |vocab_size, classes, order| SynthOptions {
            vocab_size,
            classes,
            order,
            ..SynthOptions::default()
        };
        for (vocab_size, classes, order, tables) in [
            (20_000, 16, 2, Tables::Alias),
            (600_000, 16, 2, Tables::Alias),
            (1_000_000, 16, 2, Tables::Blocks),
            (10_000_000, 16, 2, Tables::Blocks),
            (10_000_000, 16, 1, Tables::Blocks),
        ] {
            let options = options(vocab_size, classes, order);
            assert_eq!(options.tables(), tables, "{vocab_size}");
            assert!(options.validate().is_ok(), "{vocab_size}");
        }
        let error = options(10_000_000, 64, 2).validate().map_err(|error| error.to_string());
        assert!(error.is_err_and(|message| message.contains("expected at most 2147483648 bytes")));
    }
}
