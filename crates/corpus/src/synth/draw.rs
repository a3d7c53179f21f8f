//! Drawing tokens: the exact distribution of each hidden context, in tables of all its words or in
//! sums of blocks of them.

use lexmax_kernels::seed::{Generator, generator};
use rand::RngExt;
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use super::blocks::Blocks;
use super::language::Language;
use super::options::Tables;
use crate::observer::{Observer, Progress, Unit};
use crate::{CorpusError, Split};

/// Exact samplers of all conditional distributions, and what one look at each distribution tells.
pub(crate) struct Sampler {
    words: WordTables,
    /// log Z_c, `[C]`
    log_z: Vec<f64>,
    /// H_c in nats, `[C]`
    entropies: Vec<f64>,
    /// P(class of the next word | c), `[C, M]`
    class_probs: Vec<f64>,
}

/// Tables that words are drawn by.
enum WordTables {
    /// `[C]` alias tables over V words: a draw looks at one entry.
    Alias(Vec<WeightedAliasIndex<f64>>),
    /// Sums of blocks of words, whose distributions are computed anew at each draw.
    Blocks(Blocks),
}

impl Sampler {
    /// Normalises every context. Time: O(C V rank).
    pub(crate) fn new(
        language: &Language,
        tables: Tables,
        observer: &mut dyn Observer,
    ) -> Result<Sampler, CorpusError> {
        let (contexts, classes) = (language.contexts(), language.classes());
        let mut sampler = Sampler {
            words: match tables {
                Tables::Alias => WordTables::Alias(Vec::with_capacity(contexts)),
                Tables::Blocks => WordTables::Blocks(Blocks::with_capacity(contexts, language.vocab_size())),
            },
            log_z: Vec::with_capacity(contexts),
            entropies: Vec::with_capacity(contexts),
            class_probs: vec![0.0; contexts * classes],
        };
        let mut scores = vec![0.0; language.vocab_size()];
        let mut probs = Vec::new();
        let mut progress = Progress::new(observer, "contexts", Unit::Items, contexts as u64);
        for context in 0..contexts {
            progress.at(context as u64)?;
            let log_z = language.scores(context, &mut scores);
            probs.clear();
            probs.extend(scores.iter().map(|score| (score - log_z).exp()));
            let expected_score: f64 = probs.iter().zip(&scores).map(|(prob, score)| prob * score).sum();
            let class_probs = &mut sampler.class_probs[context * classes..][..classes];
            for (word, prob) in probs.iter().enumerate() {
                class_probs[language.class(word)] += prob;
            }
            sampler.log_z.push(log_z);
            sampler.entropies.push(log_z - expected_score);
            match &mut sampler.words {
                WordTables::Blocks(blocks) => blocks.add_context(&probs),
                WordTables::Alias(tables) => {
                    let table = WeightedAliasIndex::new(std::mem::take(&mut probs)).map_err(|error| {
                        CorpusError::Language(format!("alias table of context {context}: {error}"))
                    })?;
                    tables.push(table);
                }
            }
        }
        progress.finish();
        Ok(sampler)
    }

    /// H_c, nats.
    pub(crate) fn entropies(&self) -> &[f64] {
        &self.entropies
    }

    /// log Z_c.
    pub(crate) fn log_z(&self) -> &[f64] {
        &self.log_z
    }

    /// P(class | c), `[C, M]`.
    pub(crate) fn class_probs(&self) -> &[f64] {
        &self.class_probs
    }

    /// An endless stationary text: its hidden start is drawn from the shares `[C]` of the
    /// `stationary` contexts. The same split always gives the same text.
    pub(crate) fn draw<'a>(
        &'a self,
        language: &'a Language,
        stationary: &[f64],
        split: Split,
    ) -> Result<Words<'a>, CorpusError> {
        let mut rng = generator(language.seed(), "synth.tokens", split.index() as u64);
        let start = WeightedAliasIndex::new(stationary.to_vec())
            .map_err(|error| CorpusError::Language(format!("stationary contexts: {error}")))?;
        let context = rng.sample(&start);
        Ok(Words { sampler: self, language, context, rng })
    }
}

/// A text in the making.
pub(crate) struct Words<'a> {
    sampler: &'a Sampler,
    language: &'a Language,
    context: usize,
    rng: Generator,
}

impl Words<'_> {
    /// The next word (base rank, from 0) and its true log-probability in nats.
    pub(crate) fn next_word(&mut self) -> (usize, f64) {
        let context = self.context;
        let log_z = self.sampler.log_z[context];
        let log_prob_of = |word| self.language.score(context, word) - log_z;
        let word = match &self.sampler.words {
            WordTables::Alias(tables) => tables[context].sample(&mut self.rng),
            WordTables::Blocks(blocks) => {
                blocks.sample(context, &mut self.rng, |word| log_prob_of(word).exp())
            }
        };
        let log_prob = log_prob_of(word);
        self.context = self.language.next_context(context, self.language.class(word));
        (word, log_prob)
    }
}
