//! Source of a layer's negatives, and their expected counts.

use lexmax_kernels::sampled::{Negatives as Drawn, Sets};
use lexmax_kernels::seed::Generator;
use lexmax_output::{BuildContext, OutputError, Result};

use crate::config::{NegativeSets, ProposalKind, SampledConfig};
use crate::expected_count::ExpectedCount;
use crate::objective::Objective;
use crate::proposal::{InBatch, LogUniform, Proposal, Uniform, Unigram};
use crate::sampler::{self, MAX_SAMPLES, Sampler};

/// Source of a layer's negatives.
#[derive(Debug)]
pub(crate) enum Source {
    Drawn { sampler: Sampler, per_row: bool },
    InBatch(InBatch),
}

impl Source {
    /// The source that a checked configuration names.
    pub(crate) fn new(context: &BuildContext<'_>, config: &SampledConfig) -> Result<Self> {
        let (vocab_size, layer) = (context.vocab_size, crate::NAME);
        let proposal: Box<dyn Proposal> = match config.proposal {
            ProposalKind::Uniform => Box::new(Uniform::new(vocab_size)?),
            ProposalKind::LogUniform => Box::new(LogUniform::new(vocab_size)?),
            ProposalKind::Unigram => Box::new(Unigram::new(context.counts_for(layer)?, config.power())?),
            ProposalKind::InBatch => return Ok(Self::InBatch(InBatch::new(context.counts_for(layer)?))),
        };
        let sampler = Sampler::new(proposal, config.samples(vocab_size) as usize, config.unique)?;
        Ok(Self::Drawn { sampler, per_row: config.negatives == NegativeSets::PerRow })
    }

    /// Checks that the negatives of a batch of `rows` can be held.
    ///
    /// # Errors
    /// More than [`MAX_SAMPLES`] in all, where every row has its own.
    pub(crate) fn check(&self, op: &'static str, rows: usize) -> Result<()> {
        let Self::Drawn { sampler, per_row: true } = self else { return Ok(()) };
        check_batch(op, rows, sampler.samples())
    }

    /// The negatives of a batch with targets `[N]`, at least one row. Nothing here grows with the
    /// number of classes.
    pub(crate) fn draw(&self, targets: &[i64], counting: Counting, rng: &mut Generator) -> Drawn {
        let rows = targets.len();
        match self {
            Self::InBatch(proposal) => {
                let mut out = nothing_drawn(Sets::InBatch, rows, counting);
                let law = ExpectedCount::Draws { samples: (rows as f64 - 1.0).max(1.0) };
                for &id in targets {
                    let q = proposal.prob(id);
                    out.log_expected.push(law.log_of(q));
                    out.target_log_expected.push(counting.of_target(law).log_of(q));
                }
                out
            }
            Self::Drawn { sampler, per_row } => {
                let sets = if *per_row { Sets::PerRow } else { Sets::Shared };
                let mut out = nothing_drawn(sets, rows, counting);
                for targets_of_set in targets.chunks(if *per_row { 1 } else { rows }) {
                    counting.add_set(sampler.draw(rng), sampler.proposal(), targets_of_set, &mut out);
                }
                out
            }
        }
    }

    /// Logarithm of every class's expected count before anything is drawn. In-batch the number of
    /// negatives is not known before the batch is, and is left out.
    pub(crate) fn log_expected(&self, vocab_size: i64) -> Vec<f64> {
        let of_all = |law: ExpectedCount, q: &dyn Fn(i64) -> f64| {
            (0..vocab_size).map(|id| law.log_of(q(id))).collect()
        };
        match self {
            Self::Drawn { sampler, .. } => {
                of_all(sampler.expected_count(), &|id| sampler.proposal().prob(id))
            }
            Self::InBatch(proposal) => of_all(ExpectedCount::Draws { samples: 1.0 }, &|id| proposal.prob(id)),
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

/// Checks that the negatives of a batch can be held where every row has its own.
///
/// # Errors
/// More than [`MAX_SAMPLES`] in all.
pub(crate) fn check_batch(op: &'static str, rows: usize, samples: usize) -> Result<()> {
    match rows.checked_mul(samples) {
        Some(all) if all <= MAX_SAMPLES => Ok(()),
        _ => {
            let given = format!("{rows} rows with {samples} of their own");
            let expected = format!("at most {MAX_SAMPLES} in a batch");
            Err(OutputError::argument(op, "the number of negatives", given, expected))
        }
    }
}

/// How expected counts are used by the loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    pub(crate) objective: Objective,
    pub(crate) remove_accidental_hits: bool,
}

impl Counting {
    /// The law for the target. Where hits are removed, the softmax holds the target once however
    /// often it was drawn, so what counts is whether it was drawn at all: with `S q` instead, the
    /// weight of a frequent target would fall to zero as `S` grows, and the gradient would not tend
    /// to that of the full softmax.
    fn of_target(self, law: ExpectedCount) -> ExpectedCount {
        if self.objective == Objective::SampledSoftmax && self.remove_accidental_hits {
            law.inclusion()
        } else {
            law
        }
    }

    /// A set that was drawn, with its expected counts.
    pub(crate) fn of_set(self, set: sampler::Drawn, proposal: &dyn Proposal, targets: &[i64]) -> Drawn {
        let mut out = nothing_drawn(Sets::Shared, targets.len(), self);
        self.add_set(set, proposal, targets, &mut out);
        out
    }

    /// Adds a set, and the targets of the rows that see it, to what was drawn.
    fn add_set(self, set: sampler::Drawn, proposal: &dyn Proposal, targets: &[i64], out: &mut Drawn) {
        let (law, of_target) = (set.expected_count, self.of_target(set.expected_count));
        out.log_expected.extend(set.ids.iter().map(|&id| law.log_of(proposal.prob(id))));
        out.target_log_expected.extend(targets.iter().map(|&id| of_target.log_of(proposal.prob(id))));
        out.ids.extend(set.ids);
    }
}

fn nothing_drawn(sets: Sets, rows: usize, counting: Counting) -> Drawn {
    Drawn {
        sets,
        ids: Vec::new(),
        log_expected: Vec::new(),
        target_log_expected: Vec::with_capacity(rows),
        leave_hits_out: counting.remove_accidental_hits,
    }
}
