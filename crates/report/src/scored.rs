//! Tokens over which a loss is the mean. A perplexity of other tokens is another quantity: two are
//! set side by side only where they are of the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lexmax_records::{RunRecord, RunResult};

/// Test tokens of a finished run. Equal sets are the same tokens in the same context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenSet {
    tokens: u64,
    streams: Option<u64>,
    ignored: Option<i64>,
    corpus: String,
    corpus_hash: String,
}

impl TokenSet {
    /// Tokens that the test loss of a run is the mean over.
    pub fn of_test(record: &RunRecord, result: &RunResult) -> Self {
        Self { tokens: result.test.tokens(), ..Self::of_run(record) }
    }

    /// Tokens that the last point of a run's learning curve is the mean over; `None` without a
    /// point.
    pub fn of_curve(record: &RunRecord) -> Option<Self> {
        let tokens = record.curve.last()?.valid_tokens;
        Some(Self { tokens, ..Self::of_run(record) })
    }

    fn of_run(record: &RunRecord) -> Self {
        let corpus = &record.run.corpus;
        Self {
            tokens: 0,
            streams: record.result().map(|result| result.eval_batch),
            ignored: record.result().and_then(|result| result.ignored_class),
            corpus: corpus.name.clone(),
            corpus_hash: corpus.hash.clone(),
        }
    }

    /// Whether the sets are the same as far as both are known: a run that failed does not tell its
    /// streams.
    pub fn agrees(&self, other: &Self) -> bool {
        let settings = match (self.streams, other.streams) {
            (Some(_), Some(_)) => (self.streams, self.ignored) == (other.streams, other.ignored),
            _ => true,
        };
        settings && self.tokens == other.tokens && self.corpus_hash == other.corpus_hash
    }
}

impl fmt::Display for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.tokens, self.corpus)?;
        if let Some(hash) = self.corpus_hash.get(..8) {
            write!(f, " {hash}")?;
        }
        if let Some(streams) = self.streams {
            write!(f, " in {streams} {}", if streams == 1 { "stream" } else { "streams" })?;
        }
        if let Some(class) = self.ignored {
            write!(f, " with class {class} ignored")?;
        }
        Ok(())
    }
}

/// The set that all runs have; `None` where they differ or there is none.
pub fn common(sets: impl IntoIterator<Item = TokenSet>) -> Option<TokenSet> {
    let mut sets = sets.into_iter();
    let first = sets.next()?;
    sets.all(|set| set == first).then_some(first)
}

/// The set that most outputs were scored on; of equally many the largest.
pub fn most_common<'a>(sets: impl Iterator<Item = &'a TokenSet>) -> Option<TokenSet> {
    let mut counts: BTreeMap<&TokenSet, usize> = BTreeMap::new();
    sets.for_each(|set| *counts.entry(set).or_default() += 1);
    counts.into_iter().max_by_key(|&(set, count)| (count, set)).map(|(set, _)| set.clone())
}

/// A sentence for each ignored class of which test tokens were left out, with the outputs that did
/// so.
pub fn ignored(records: &[RunRecord]) -> Vec<String> {
    let mut found: BTreeMap<(i64, u64), Vec<&str>> = BTreeMap::new();
    for record in records {
        let Some(result) = record.result() else { continue };
        if let Some(class) = result.ignored_class.filter(|_| result.ignored_test_tokens > 0) {
            let names = found.entry((class, result.ignored_test_tokens)).or_default();
            if !names.contains(&record.run.name.as_str()) {
                names.push(&record.run.name);
            }
        }
    }
    let sentence = |((class, tokens), names): ((i64, u64), Vec<&str>)| {
        format!(
            "{tokens} test tokens of the ignored class {class} are not in the perplexity of {}.",
            names.join(", ")
        )
    };
    found.into_iter().map(sentence).collect()
}

/// Sentences that name the sets and their outputs, where there is more than one set.
pub fn notes(outputs: &[(&str, Option<&TokenSet>)]) -> Vec<String> {
    let mut sets: BTreeMap<&TokenSet, Vec<&str>> = BTreeMap::new();
    let mut mixed = Vec::new();
    for (name, set) in outputs {
        match set {
            Some(set) => sets.entry(set).or_default().push(name),
            None => mixed.push(*name),
        }
    }
    let mut notes = Vec::new();
    if sets.len() > 1 {
        let counts: BTreeSet<u64> = sets.keys().map(|set| set.tokens).collect();
        let what = if counts.len() == sets.len() {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            format!("{} different numbers of test tokens ({})", sets.len(), counts.join(", "))
        } else {
            format!("{} different sets of test tokens", sets.len())
        };
        let groups: Vec<String> =
            sets.iter().map(|(set, names)| format!("{set}: {}", names.join(", "))).collect();
        notes.push(format!(
            "The outputs were scored on {what}. Perplexities of different tokens do not compare: between these groups \
             there is no change, verdict, front or operating point. {}.",
            groups.join("; ")
        ));
    }
    if !mixed.is_empty() {
        notes.push(format!(
            "The seeds of {} were scored on different test tokens among themselves: such a mean is compared with nothing.",
            mixed.join(", ")
        ));
    }
    notes
}
