//! Drawing tokens: one alias table for each hidden context.

use lexmax_kernels::seed::{Generator, generator};
use rand::RngExt;
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use super::language::Language;
use crate::observer::{Observer, Progress, Unit};
use crate::{CorpusError, Split};

/// Exact samplers of all conditional distributions, and what one look at each distribution tells.
pub(crate) struct Sampler {
    /// `[C]` tables over V words.
    tables: Vec<WeightedAliasIndex<f64>>,
    /// log Z_c, `[C]`
    log_z: Vec<f64>,
    /// H_c in nats, `[C]`
    entropies: Vec<f64>,
    /// P(class of the next word | c), `[C, M]`
    class_probs: Vec<f64>,
}

impl Sampler {
    /// Normalises every context. Time: O(C V rank).
    pub(crate) fn new(language: &Language, observer: &mut dyn Observer) -> Result<Sampler, CorpusError> {
        let (contexts, classes) = (language.contexts(), language.classes());
        let mut sampler = Sampler {
            tables: Vec::with_capacity(contexts),
            log_z: Vec::with_capacity(contexts),
            entropies: Vec::with_capacity(contexts),
            class_probs: vec![0.0; contexts * classes],
        };
        let mut scores = vec![0.0; language.vocab_size()];
        let mut progress = Progress::new(observer, "contexts", Unit::Items, contexts as u64);
        for context in 0..contexts {
            progress.at(context as u64)?;
            let log_z = language.scores(context, &mut scores);
            let probs: Vec<f64> = scores.iter().map(|score| (score - log_z).exp()).collect();
            let expected_score: f64 = probs.iter().zip(&scores).map(|(prob, score)| prob * score).sum();
            let class_probs = &mut sampler.class_probs[context * classes..][..classes];
            for (word, prob) in probs.iter().enumerate() {
                class_probs[language.class(word)] += prob;
            }
            sampler.log_z.push(log_z);
            sampler.entropies.push(log_z - expected_score);
            let table = WeightedAliasIndex::new(probs).map_err(|error| {
                CorpusError::Language(format!("alias table of context {context}: {error}"))
            })?;
            sampler.tables.push(table);
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
        let word = self.sampler.tables[context].sample(&mut self.rng);
        let log_prob = self.language.score(context, word) - self.sampler.log_z[context];
        self.context = self.language.next_context(context, self.language.class(word));
        (word, log_prob)
    }
}
