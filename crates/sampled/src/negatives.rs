//! The negatives of a batch: classes and the logarithms of their expected counts, drawn as numbers, and as tensors.

use lexmax_kernels::gathered::{Negatives as Drawn, Sets};
use lexmax_kernels::seed::Generator;
use lexmax_output::{BuildContext, OutputError, Result};
use tch::{Kind, Tensor};

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

    /// Negatives as they were drawn for targets `[N]`, logarithms of the given kind.
    pub(crate) fn of(drawn: Drawn, targets: &Tensor, kind: Kind) -> Result<Self> {
        let (rows, device) = (targets.size()[0], targets.device());
        let ids = match drawn.sets {
            Sets::InBatch => targets.shallow_clone(),
            Sets::Shared => Tensor::f_from_slice(&drawn.ids)?.f_to(device)?,
            Sets::PerRow => Tensor::f_from_slice(&drawn.ids)?.f_to(device)?.f_view([rows, -1])?,
        };
        let tensor = |logs: &[f64]| Tensor::f_from_slice(logs)?.f_to_kind(kind)?.f_to(device);
        Ok(Self {
            log_expected_count: tensor(&drawn.log_expected)?.f_view_as(&ids)?,
            target_log_expected_count: tensor(&drawn.target_log_expected)?,
            ids,
            in_batch: drawn.sets == Sets::InBatch,
        })
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

    /// The negatives of a batch with targets `[N]`, at least one row. Nothing here grows with the number of classes.
    pub(crate) fn draw(&self, targets: &[i64], counting: Counting, rng: &mut Generator) -> Drawn {
        let rows = targets.len();
        let mut out = Drawn {
            sets: Sets::Shared,
            ids: Vec::new(),
            log_expected: Vec::new(),
            target_log_expected: Vec::with_capacity(rows),
            leave_hits_out: counting.remove_accidental_hits,
        };
        match self {
            Self::InBatch(proposal) => {
                out.sets = Sets::InBatch;
                let law = ExpectedCount::Draws { samples: (rows as f64 - 1.0).max(1.0) };
                for &id in targets {
                    let q = proposal.prob(id);
                    out.log_expected.push(law.log_of(q));
                    out.target_log_expected.push(counting.of_target(law).log_of(q));
                }
            }
            Self::Drawn { sampler, per_row } => {
                out.sets = if *per_row { Sets::PerRow } else { Sets::Shared };
                let q = |id: i64| sampler.proposal().prob(id);
                for targets_of_set in targets.chunks(if *per_row { 1 } else { rows }) {
                    let drawn = sampler.draw(rng);
                    let (law, of_target) = (drawn.expected_count, counting.of_target(drawn.expected_count));
                    out.log_expected.extend(drawn.ids.iter().map(|&id| law.log_of(q(id))));
                    out.target_log_expected.extend(targets_of_set.iter().map(|&id| of_target.log_of(q(id))));
                    out.ids.extend(drawn.ids);
                }
            }
        }
        out
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
