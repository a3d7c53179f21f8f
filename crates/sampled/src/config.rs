//! Configuration of the sampled layer.

use lexmax_output::{LayerSizes, LossOptions, OutputError, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::objective::Objective;
use crate::sampler::MAX_SAMPLES;
use crate::source::check_batch;

/// Options of [`crate::Sampled`]; the defaults give the sampled softmax with log-uniform negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub struct SampledConfig {
    /// Loss over the target and its negatives.
    pub objective: Objective,
    /// Distribution of the negatives.
    pub proposal: ProposalKind,
    /// Exponent `alpha`, `0 <= alpha <= 1`, of the proposal `unigram`; [`SampledConfig::POWER`]
    /// where it is not given.
    pub power: Option<f64>,
    /// Number of negatives, `S`, at most [`MAX_SAMPLES`]; the smaller of [`SampledConfig::SAMPLES`]
    /// and `V` where it is not given. The proposal `in-batch` takes as many as the batch has.
    pub samples: Option<i64>,
    /// Whether draws are repeated until they are `S` different classes.
    pub unique: bool,
    /// Whether the rows of a batch share their negatives.
    pub negatives: NegativeSets,
    /// Whether a negative that is the row's target is left out of that row. Where it is not given:
    /// yes for the sampled softmax and one-vs-each, no for NCE and negative sampling, as in
    /// TensorFlow's `sampled_softmax_loss` and `nce_loss`.
    ///
    /// NCE and negative sampling ask of every draw whether it is data or noise, and a hit is noise
    /// that happens to be the target's class. Without the hits their optimum has the odds
    /// `p_c / (1 - p_c)` in the place of `p_c`: close for rare classes, and a distribution that is
    /// too sharp where one class is likely. Word2vec's code leaves them out; so may you.
    pub remove_accidental_hits: Option<bool>,
    /// Whether each class has a bias.
    pub bias: bool,
    /// Whether the class weight is the input embedding (Press & Wolf 2017, arXiv 1608.05859).
    pub tied: bool,
    /// Options of the loss that all families share; label smoothing is refused.
    pub loss: LossOptions,
}

/// Writes the treatment of hits even where it is the default, so that a record does not depend on
/// the defaults of another version.
impl Serialize for SampledConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let remove_accidental_hits = Some(self.remove_accidental_hits());
        Self::serialize(&Self { remove_accidental_hits, ..self.clone() }, serializer)
    }
}

impl<'de> Deserialize<'de> for SampledConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

/// Distribution of negatives; [`crate::proposal`] has the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalKind {
    /// Every class alike.
    Uniform,
    /// Log-uniform in the rank, close to Zipf's law.
    #[default]
    LogUniform,
    /// Add-one training counts to the power `alpha`.
    Unigram,
    /// The targets of the other rows of the batch.
    InBatch,
}

/// Which rows share a set of negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NegativeSets {
    /// One set for all rows: logits `[N, S]` are one matrix product.
    #[default]
    Shared,
    /// A set of its own for each row: `N S` rows of the weight are gathered.
    PerRow,
}

impl Default for SampledConfig {
    fn default() -> Self {
        Self {
            objective: Objective::default(),
            proposal: ProposalKind::default(),
            power: None,
            samples: None,
            unique: false,
            negatives: NegativeSets::default(),
            remove_accidental_hits: None,
            bias: true,
            tied: false,
            loss: LossOptions::default(),
        }
    }
}

impl SampledConfig {
    /// Number of negatives where none is given (and `V` is not smaller).
    pub const SAMPLES: i64 = 1024;

    /// Exponent of the unigram proposal where none is given (Mikolov et al. 2013, arXiv 1310.4546).
    pub const POWER: f64 = 0.75;

    /// The number of negatives drawn from `vocab_size` classes.
    pub fn samples(&self, vocab_size: i64) -> i64 {
        self.samples.unwrap_or(Self::SAMPLES.min(vocab_size))
    }

    /// The exponent of the unigram proposal.
    pub fn power(&self) -> f64 {
        self.power.unwrap_or(Self::POWER)
    }

    /// Whether negatives that are the row's target are left out of it.
    pub fn remove_accidental_hits(&self) -> bool {
        self.remove_accidental_hits.unwrap_or(match self.objective {
            Objective::SampledSoftmax | Objective::OneVsEach => true,
            Objective::Nce | Objective::NegativeSampling => false,
        })
    }

    /// Checks everything about the layer that can be known before it is built.
    ///
    /// # Errors
    /// As [`LayerSizes::check`] and [`SampledConfig::validate`]; label smoothing; tying without an
    /// embedding `[V, D]`; more negatives in a batch than can be held.
    pub fn check(&self, sizes: &LayerSizes) -> Result<()> {
        let layer = crate::NAME;
        sizes.check(layer, &self.loss)?;
        let why = "it spreads over all classes, and the loss sees only the target and its negatives";
        self.loss.refuse_smoothing(layer, why)?;
        self.validate(sizes.vocab_size)?;
        if self.negatives == NegativeSets::PerRow {
            sizes.refuse_bf16(layer, "negatives of each row's own are dot products in f32")?;
        }
        if let (Some(rows), NegativeSets::PerRow) = (sizes.rows, self.negatives) {
            check_batch(layer, rows, self.samples(sizes.vocab_size) as usize)?;
        }
        if self.tied { sizes.check_tied(layer, sizes.hidden_size) } else { Ok(()) }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// The first option out of its range, or one that the proposal cannot honour, by name.
    pub fn validate(&self, vocab_size: i64) -> Result<()> {
        let layer = crate::NAME;
        if self.proposal == ProposalKind::InBatch {
            let refuse = |option, why: &str| Err(OutputError::refused(layer, option, why));
            if self.samples.is_some() {
                return refuse(
                    "samples",
                    "in-batch negatives are the other targets of the batch, so it sets their number",
                );
            }
            if self.unique {
                return refuse(
                    "unique",
                    "in-batch negatives are the targets as they come, with their repeats",
                );
            }
            if self.negatives == NegativeSets::PerRow {
                return refuse(
                    "negatives",
                    "in-batch negatives are the same for all rows but for the row's own target",
                );
            }
        }
        if let Some(power) = self.power {
            if self.proposal != ProposalKind::Unigram {
                let why = "only the proposal `unigram` has an exponent";
                return Err(OutputError::refused(layer, "power", why));
            }
            if !(0.0..=1.0).contains(&power) {
                return Err(OutputError::argument(layer, "power", power, "0 <= power <= 1"));
            }
        }
        let samples = self.samples(vocab_size);
        if samples < 1 {
            return Err(OutputError::argument(layer, "samples", samples, "at least 1"));
        }
        if samples > MAX_SAMPLES as i64 {
            let expected = format!("at most {MAX_SAMPLES}");
            return Err(OutputError::argument(layer, "samples", samples, expected));
        }
        if self.unique && samples > vocab_size {
            let expected = format!("at most {vocab_size}, the number of classes, where draws are unique");
            return Err(OutputError::argument(layer, "samples", samples, expected));
        }
        Ok(())
    }
}
