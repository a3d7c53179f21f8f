//! A corpus in numbers: sizes, coverage by rank, Zipf exponent, unigram perplexity.

use std::fmt;

use serde::Serialize;

use crate::{Corpus, Split, Vocab};

/// Ranks at which coverage is reported.
const RANKS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Ranks (from 1) between which the Zipf exponent is fitted: the first few words and the tail of
/// words seen once or twice bend away from a straight line.
const ZIPF_RANKS: (usize, usize) = (10, 10_000);

/// Sizes and statistics of a corpus, from [`describe`]. `Display` gives a plain table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Name of the corpus.
    pub name: String,
    /// Its hash.
    pub hash: String,
    /// V: entries of the vocabulary.
    pub vocab_size: u64,
    /// Entries that occur in training; the others are an `unk` needed only elsewhere, or unseen
    /// synthetic words.
    pub train_types: u64,
    /// Entries that occur in training exactly once.
    pub singletons: u64,
    /// Train, valid, test.
    pub splits: [SplitDescription; 3],
    /// Coverage at ranks 10, 100, 1,000 and so on below V.
    pub coverage: Vec<Coverage>,
    /// The s of count ~ rank^-s, by least squares of log count on log rank over ranks 10 to 10,000;
    /// none where fewer than 3 such ranks have a count.
    pub zipf_exponent: Option<f64>,
    /// First and last rank (from 1) that the exponent was fitted on.
    pub zipf_ranks: Option<(u64, u64)>,
    /// True entropy rate in nats, for a synthetic language.
    pub entropy_rate: Option<f64>,
}

/// Numbers of one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitDescription {
    /// Which.
    pub split: Split,
    /// Tokens.
    pub tokens: u64,
    /// Lines of text.
    pub lines: u64,
    /// Different ids that occur.
    pub types: u64,
    /// Tokens that are the unknown word.
    pub unk_tokens: u64,
    /// exp of the mean of -ln((count + 1) / (training tokens + V)), counts from train; none for an
    /// empty split.
    pub unigram_perplexity: Option<f64>,
    /// exp of the mean negative true log-probability, for a synthetic language.
    pub true_perplexity: Option<f64>,
}

/// Share of the tokens that the most frequent words make up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// Number of the most frequent training words.
    pub rank: u64,
    /// Share of the tokens of train, valid and test that these words are, 0 to 1; none for an empty
    /// split.
    pub share: [Option<f64>; 3],
}

/// Describes a corpus. Cost: one pass over the tokens; memory: O(V).
pub fn describe(corpus: &Corpus) -> Description {
    let vocab = corpus.vocab();
    let counts = Split::ALL.map(|split| count(corpus.tokens(split), vocab.len()));
    let ranks = RANKS.iter().copied().filter(|&rank| rank < vocab.len());
    let zipf = zipf(vocab.counts());
    Description {
        name: corpus.name().to_owned(),
        hash: corpus.hash().to_owned(),
        vocab_size: vocab.len() as u64,
        train_types: vocab.counts().iter().filter(|&&count| count > 0).count() as u64,
        singletons: vocab.counts().iter().filter(|&&count| count == 1).count() as u64,
        splits: Split::ALL.map(|split| describe_split(corpus, split, &counts[split.index()])),
        coverage: ranks
            .map(|rank| Coverage {
                rank: rank as u64,
                share: Split::ALL.map(|split| coverage(&counts[split.index()], rank)),
            })
            .collect(),
        zipf_exponent: zipf.map(|(exponent, _)| exponent),
        zipf_ranks: zipf.map(|(_, last)| (ZIPF_RANKS.0 as u64, last)),
        entropy_rate: corpus.info().synthetic.as_ref().map(|synthetic| synthetic.entropy_rate),
    }
}

/// Counts of the ids.
fn count(tokens: &[u32], vocab_size: usize) -> Vec<u64> {
    let mut counts = vec![0; vocab_size];
    for &id in tokens {
        counts[id as usize] += 1;
    }
    counts
}

fn describe_split(corpus: &Corpus, split: Split, counts: &[u64]) -> SplitDescription {
    let vocab = corpus.vocab();
    let true_log_probs = corpus.true_log_probs(split).filter(|values| !values.is_empty());
    SplitDescription {
        split,
        tokens: corpus.tokens(split).len() as u64,
        lines: corpus.info().splits.of(split).lines,
        types: counts.iter().filter(|&&count| count > 0).count() as u64,
        unk_tokens: vocab.unk().map_or(0, |unk| counts[unk as usize]),
        unigram_perplexity: add_one_perplexity(vocab, counts),
        true_perplexity: true_log_probs
            .map(|values| (-values.iter().sum::<f64>() / values.len() as f64).exp()),
    }
}

fn coverage(counts: &[u64], rank: usize) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let covered: u64 = counts[..rank].iter().sum();
    (total > 0).then(|| covered as f64 / total as f64)
}

/// Perplexity of tokens with these counts under p(w) = (train count + 1) / (training tokens + V).
fn add_one_perplexity(vocab: &Vocab, counts: &[u64]) -> Option<f64> {
    let total = vocab.counts().iter().sum::<u64>() + vocab.len() as u64;
    let tokens: u64 = counts.iter().sum();
    let occurring = vocab.counts().iter().zip(counts).filter(|&(_, &here)| here > 0);
    let nats: f64 =
        occurring.map(|(&train, &here)| here as f64 * (total as f64 / (train as f64 + 1.0)).ln()).sum();
    (tokens > 0).then(|| (nats / tokens as f64).exp())
}

/// Minus the slope of log count on log rank, and the last rank that went into it.
fn zipf(counts: &[u64]) -> Option<(f64, u64)> {
    let (first, last) = ZIPF_RANKS;
    let points: Vec<(f64, f64)> = (first..=last.min(counts.len()))
        .map(|rank| (rank, counts[rank - 1]))
        .take_while(|&(_, count)| count > 0)
        .map(|(rank, count)| ((rank as f64).ln(), (count as f64).ln()))
        .collect();
    if points.len() < 3 {
        return None;
    }
    let n = points.len() as f64;
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some((-covariance / variance, (first + points.len() - 1) as u64))
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  (sha256 {})", self.name, self.hash.get(..16).unwrap_or(&self.hash))?;
        writeln!(
            f,
            "vocabulary {}; in train {}, of these {} once",
            thousands(self.vocab_size),
            thousands(self.train_types),
            thousands(self.singletons)
        )?;
        if let (Some(exponent), Some((first, last))) = (self.zipf_exponent, self.zipf_ranks) {
            writeln!(f, "Zipf exponent {exponent:.3} (ranks {first} to {})", thousands(last))?;
        }
        if let Some(entropy) = self.entropy_rate {
            writeln!(f, "true entropy rate {entropy:.4} nats (perplexity {:.2})", entropy.exp())?;
        }
        writeln!(f)?;
        let row = |f: &mut fmt::Formatter<'_>, title: &str, cells: [String; 3]| {
            let [train, valid, test] = cells;
            writeln!(f, "{title:<26}{train:>14}{valid:>14}{test:>14}")
        };
        let number =
            |pick: fn(&SplitDescription) -> u64| self.splits.each_ref().map(|split| thousands(pick(split)));
        let decimal = |pick: fn(&SplitDescription) -> Option<f64>| {
            self.splits
                .each_ref()
                .map(|split| pick(split).map_or("-".to_owned(), |value| format!("{value:.1}")))
        };
        row(f, "", Split::ALL.map(|split| split.to_string()))?;
        row(f, "tokens", number(|split| split.tokens))?;
        row(f, "lines", number(|split| split.lines))?;
        row(f, "types", number(|split| split.types))?;
        row(f, "unknown-word tokens", number(|split| split.unk_tokens))?;
        row(f, "add-one unigram perplexity", decimal(|split| split.unigram_perplexity))?;
        if self.entropy_rate.is_some() {
            row(f, "true perplexity", decimal(|split| split.true_perplexity))?;
        }
        for coverage in &self.coverage {
            let title = format!("covered by first {}", thousands(coverage.rank));
            let percent =
                |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2} %", 100.0 * share));
            row(f, &title, coverage.share.map(percent))?;
        }
        Ok(())
    }
}

/// Digits in groups of three.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_fit_finds_the_exponent_of_a_power_law() {
        let counts: Vec<u64> =
            (1..=2000).map(|rank| (1e9 / f64::from(rank).powf(1.3)).round() as u64).collect();
        let (exponent, last) = zipf(&counts).unwrap();
        assert!((exponent - 1.3).abs() < 1e-3);
        assert_eq!(last, 2000);
        assert_eq!(zipf(&counts[..11]), None);
        assert_eq!(zipf(&counts[..15]).unwrap().1, 15);
        assert_eq!(zipf(&[&counts[..15], &[0; 9]].concat()).unwrap().1, 15);
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, 2_088_628].map(thousands), ["0", "999", "1,000", "2,088,628"]);
    }
}
