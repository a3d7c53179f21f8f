//! The layer learns: its loss and the exact negative log-likelihood fall on a fixed batch.

use lexmax_kernels::seed::generator;
use lexmax_output::OutputLayer;
use lexmax_sampled::{NegativeSets, Objective, ProposalKind, SampledConfig};
use tch::{Kind, nn, nn::OptimizerConfig};

use crate::fixture::{Fixture, V};

fn exact_nll(fixture: &Fixture) -> f64 {
    let log_prob = fixture.layer.log_prob(&fixture.hidden, &fixture.targets).unwrap();
    -log_prob.tensor().mean(Kind::Double).double_value(&[])
}

#[test]
fn a_few_steps_lower_the_loss_and_the_exact_one() {
    for objective in Objective::ALL {
        for proposal in [ProposalKind::Uniform, ProposalKind::Unigram, ProposalKind::InBatch] {
            let drawn = proposal != ProposalKind::InBatch;
            let config = SampledConfig {
                objective,
                proposal,
                samples: drawn.then_some(8),
                unique: drawn,
                ..SampledConfig::default()
            };
            let fixture = Fixture::new(&config);
            let mut optimizer = nn::Sgd::default().build(&fixture.store, 0.2).unwrap();
            let (mut losses, before) = (vec![], exact_nll(&fixture));
            for step in 0..60 {
                let mut rng = generator(7, "negatives", step);
                let loss = fixture.layer.loss_with(&fixture.hidden, &fixture.targets, &mut rng).unwrap();
                losses.push(loss.value().unwrap());
                optimizer.backward_step(loss.tensor());
            }
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            let (first, last) = (mean(&losses[..5]), mean(&losses[55..]));
            assert!(last < 0.7 * first, "{objective:?} {proposal:?}: {first} to {last}");
            let after = exact_nll(&fixture);
            // In-batch never pushes down classes outside the batch, so only its own loss must fall
            // that far.
            assert!(
                after < if drawn { 0.7 * before } else { before },
                "{objective:?} {proposal:?}: {before} to {after}"
            );
        }
    }
}

#[test]
fn different_steps_draw_different_negatives() {
    for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
        let config = SampledConfig { negatives, samples: Some(V / 2), ..SampledConfig::default() };
        let fixture = Fixture::new(&config);
        let loss = |step| {
            let mut rng = generator(7, "negatives", step);
            fixture.layer.loss_with(&fixture.hidden, &fixture.targets, &mut rng).unwrap().value().unwrap()
        };
        assert_eq!(loss(0), loss(0));
        assert_ne!(loss(0), loss(1));
    }
}
