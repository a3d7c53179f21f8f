//! The laws that every output layer obeys, for every objective, proposal and way of drawing.

use lexmax_conformance::{Case, check};
use lexmax_sampled::{NegativeSets, Objective, ProposalKind, Sampled, SampledConfig};

fn obeys(name: &str, config: &SampledConfig) {
    check(&Case {
        name,
        vocab_size: 31,
        hidden_size: 6,
        build: &|context, loss| {
            let config = SampledConfig { loss, ..config.clone() };
            Ok(Box::new(Sampled::new(context, &config)?))
        },
        refuses: &[("label_smoothing", "the loss sees only the target and its negatives")],
    });
}

fn with(objective: Objective, proposal: ProposalKind) -> SampledConfig {
    let samples = (proposal != ProposalKind::InBatch).then_some(9);
    SampledConfig { objective, proposal, samples, ..SampledConfig::default() }
}

#[test]
fn every_objective() {
    for objective in Objective::ALL {
        obeys(&format!("{objective:?}"), &with(objective, ProposalKind::LogUniform));
    }
}

#[test]
fn every_proposal() {
    for proposal in [ProposalKind::Uniform, ProposalKind::Unigram, ProposalKind::InBatch] {
        obeys(&format!("{proposal:?}"), &with(Objective::SampledSoftmax, proposal));
    }
    obeys(
        "in-batch, hits kept",
        &SampledConfig { remove_accidental_hits: Some(false), ..with(Objective::Nce, ProposalKind::InBatch) },
    );
}

#[test]
fn every_way_of_drawing() {
    let base = with(Objective::SampledSoftmax, ProposalKind::Unigram);
    for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
        for unique in [false, true] {
            obeys(
                &format!("{negatives:?}, unique {unique}"),
                &SampledConfig { negatives, unique, ..base.clone() },
            );
        }
    }
    obeys("hits kept, no bias", &SampledConfig { remove_accidental_hits: Some(false), bias: false, ..base });
}
