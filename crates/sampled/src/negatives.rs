//! The negatives of a batch as tensors: classes and the logarithms of their expected counts.

use lexmax_kernels::seed::Generator;
use lexmax_output::{BuildContext, OutputError, Result};
use tch::{Device, Kind, Tensor};

use crate::config::{NegativeSets, ProposalKind, SampledConfig};
use crate::expected_count::ExpectedCount;
use crate::objective::Objective;
use crate::proposal::{InBatch, LogUniform, Proposal, Uniform, Unigram};
use crate::sampler::Sampler;

/// Negatives of `N` rows.
#[derive(Debug)]
pub struct Negatives {
    /// Classes, i64: `[S]` where all rows share them, `[N, S]` elsewhere.
    pub ids: Tensor,
    /// Logarithms of their expected counts, of the shape of the classes.
    pub log_expected_count: Tensor,
    /// Logarithms of the expected counts of the rows' targets, `[N]`.
    pub target_log_expected_count: Tensor,
    /// Whether the shared negatives are the rows' own targets, so that row `i` must not see negative `i`.
    pub in_batch: bool,
}

impl Negatives {
    /// Negatives given from outside by their expected counts: `ids` and `expected_count` of the same shape `[S]` or
    /// `[N, S]`, `target_expected_count` `[N]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(ids: Tensor, expected_count: &Tensor, target_expected_count: &Tensor) -> Result<Self> {
        let (log_expected_count, target_log_expected_count) =
            (expected_count.f_log()?, target_expected_count.f_log()?);
        let negatives = Self { ids, log_expected_count, target_log_expected_count, in_batch: false };
        negatives.check()?;
        Ok(negatives)
    }

    /// Whether every row has negatives of its own.
    pub fn per_row(&self) -> bool {
        self.ids.dim() == 2
    }

    /// Checks that the shapes fit together.
    pub(crate) fn check(&self) -> Result<()> {
        let op = "negatives";
        let rows = self.target_log_expected_count.size();
        let ids = self.ids.size();
        let fits = match ids.as_slice() {
            [_] => true,
            [n, _] => rows == [*n],
            _ => false,
        };
        if !fits {
            let expected = format!("[S] or [{}, S]", rows.first().copied().unwrap_or_default());
            return Err(OutputError::Shape { op, what: "ids", given: ids, expected });
        }
        if self.ids.kind() != Kind::Int64 {
            let expected = "Int64".to_owned();
            return Err(OutputError::Kind { op, what: "ids", given: self.ids.kind(), expected });
        }
        if self.log_expected_count.size() != ids {
            let given = self.log_expected_count.size();
            let expected = format!("{ids:?}, one for each class");
            return Err(OutputError::Shape { op, what: "expected_count", given, expected });
        }
        Ok(())
    }
}

/// Where a layer's negatives come from.
#[derive(Debug)]
pub(crate) enum Source {
    Drawn { sampler: Sampler, per_row: bool },
    InBatch(InBatch),
}

impl Source {
    /// The source that a checked configuration names.
    pub(crate) fn new(context: &BuildContext<'_>, config: &SampledConfig) -> Result<Self> {
        let (vocab_size, layer) = (context.vocab_size, crate::layer::NAME);
        let proposal: Box<dyn Proposal> = match config.proposal {
            ProposalKind::Uniform => Box::new(Uniform::new(vocab_size)?),
            ProposalKind::LogUniform => Box::new(LogUniform::new(vocab_size)?),
            ProposalKind::Unigram => Box::new(Unigram::new(context.counts_for(layer)?, config.power())?),
            ProposalKind::InBatch => return Ok(Self::InBatch(InBatch::new(context.counts_for(layer)?))),
        };
        let sampler = Sampler::new(proposal, config.samples(vocab_size) as usize, config.unique)?;
        Ok(Self::Drawn { sampler, per_row: config.negatives == NegativeSets::PerRow })
    }

    /// The negatives of a batch with targets `[N]`, at least one row.
    pub(crate) fn negatives(
        &self,
        targets: &Tensor,
        counting: Counting,
        rng: &mut Generator,
    ) -> Result<Negatives> {
        let target_ids = Vec::<i64>::try_from(targets)?;
        let rows = target_ids.len();
        let mut counts = LogCounts::with_capacity(rows);
        match self {
            Self::InBatch(proposal) => {
                let law = ExpectedCount::Draws { samples: (rows as f64 - 1.0).max(1.0) };
                for &id in &target_ids {
                    let q = proposal.prob(id);
                    counts.negatives.push(law.log_of(q));
                    counts.targets.push(counting.of_target(law).log_of(q));
                }
                counts.tensors(targets.shallow_clone(), counting.kind, true)
            }
            Self::Drawn { sampler, per_row } => {
                let q = |id: i64| sampler.proposal().prob(id);
                let sets = if *per_row { rows } else { 1 };
                let mut ids = Vec::with_capacity(sets * sampler.samples());
                for targets_of_set in target_ids.chunks(rows.div_ceil(sets).max(1)) {
                    let drawn = sampler.draw(rng);
                    let (law, of_target) = (drawn.expected_count, counting.of_target(drawn.expected_count));
                    counts.negatives.extend(drawn.ids.iter().map(|&id| law.log_of(q(id))));
                    counts.targets.extend(targets_of_set.iter().map(|&id| of_target.log_of(q(id))));
                    ids.extend(drawn.ids);
                }
                let mut ids = Tensor::f_from_slice(&ids)?.f_to(targets.device())?;
                if *per_row {
                    ids = ids.f_view([rows as i64, sampler.samples() as i64])?;
                }
                counts.tensors(ids, counting.kind, false)
            }
        }
    }

    /// `log q` of every class.
    pub(crate) fn log_q(&self, vocab_size: i64) -> Vec<f64> {
        let q = |id| match self {
            Self::Drawn { sampler, .. } => sampler.proposal().prob(id),
            Self::InBatch(proposal) => proposal.prob(id),
        };
        (0..vocab_size).map(|id| q(id).ln()).collect()
    }

    /// Number of negatives of a row in a batch of `rows`.
    pub(crate) fn samples(&self, rows: f64) -> f64 {
        match self {
            Self::Drawn { sampler, .. } => sampler.samples() as f64,
            Self::InBatch(_) => rows,
        }
    }

    /// Whether every row has negatives of its own.
    pub(crate) fn per_row(&self) -> bool {
        matches!(self, Self::Drawn { per_row: true, .. })
    }
}

/// How expected counts are used by the loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    pub(crate) objective: Objective,
    pub(crate) remove_accidental_hits: bool,
    /// Element type of the logarithms.
    pub(crate) kind: Kind,
}

impl Counting {
    /// The law for the target. Where hits are removed, the softmax holds the target once however often it was drawn, so
    /// what counts is whether it was drawn at all: with `S q` instead, the weight of a frequent target would fall to zero
    /// as `S` grows, and the gradient would not tend to that of the full softmax.
    fn of_target(self, law: ExpectedCount) -> ExpectedCount {
        if self.objective == Objective::SampledSoftmax && self.remove_accidental_hits {
            law.inclusion()
        } else {
            law
        }
    }
}

struct LogCounts {
    negatives: Vec<f64>,
    targets: Vec<f64>,
}

impl LogCounts {
    fn with_capacity(rows: usize) -> Self {
        Self { negatives: Vec::new(), targets: Vec::with_capacity(rows) }
    }

    fn tensors(self, ids: Tensor, kind: Kind, in_batch: bool) -> Result<Negatives> {
        let device: Device = ids.device();
        let tensor = |logs: &[f64]| Tensor::f_from_slice(logs)?.f_to_kind(kind)?.f_to(device);
        let log_expected_count = tensor(&self.negatives)?.f_view_as(&ids)?;
        Ok(Negatives { log_expected_count, target_log_expected_count: tensor(&self.targets)?, ids, in_batch })
    }
}
