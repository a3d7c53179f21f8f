//! Layers of this crate with parameters away from zero, and the slow, obvious f64 oracles of their
//! distributions.
#![allow(clippy::unwrap_used, dead_code)]

use lexmax_conformance::Built;
use lexmax_conformance::numbers::{Parameters, affine, log_softmax};
use lexmax_kernels::logspace::log_sum_exp;
use lexmax_mixture::{Mixture, MixtureConfig};
use lexmax_output::LossOptions;
use lexmax_output::fused::Compute;
use tch::Kind;

/// Layer under test, by its configuration.
#[derive(Debug, Clone)]
pub struct Head(pub MixtureConfig);

impl Head {
    /// Mixtures at the edges of their configuration, with given loss options.
    pub fn all(loss: &LossOptions) -> Vec<Self> {
        let mixture = |components, latent_size, bias| {
            Self(MixtureConfig { components, latent_size, bias, tied: false, loss: loss.clone() })
        };
        vec![mixture(1, None, true), mixture(2, Some(3), false), mixture(4, None, true)]
    }

    pub fn build(&self, vocab_size: i64, hidden_size: i64, kind: Kind) -> Built {
        self.build_on(Compute::Fastest, vocab_size, hidden_size, kind)
    }

    pub fn build_on(&self, compute: Compute, vocab_size: i64, hidden_size: i64, kind: Kind) -> Built {
        Built::new([vocab_size, hidden_size], kind, |context| {
            context.compute = compute;
            if compute == Compute::Chunked {
                // A few tokens a chunk.
                context.workspace_bytes = Some(800 << 10);
            }
            Ok(Box::new(Mixture::new(context, &self.0)?))
        })
    }

    /// `log p(c | h)` of all classes for one row, straight from the definition.
    pub fn oracle_row(&self, parameters: &Parameters, hidden: &[f64]) -> Vec<f64> {
        let bias = parameters.get("bias");
        let one = vec![vec![0.0; hidden.len()]];
        let prior = log_softmax(&affine(parameters.get("prior.weight").unwrap_or(&one), None, hidden));
        let latent = affine(&parameters["latent.weight"], Some(&parameters["latent.bias"]), hidden);
        let width = latent.len() / self.0.components as usize;
        let components: Vec<Vec<f64>> = latent
            .chunks(width)
            .map(|state| {
                let state: Vec<f64> = state.iter().map(|value| value.tanh()).collect();
                log_softmax(&affine(&parameters["weight"], bias, &state))
            })
            .collect();
        let mixed = |class: usize| {
            log_sum_exp(components.iter().zip(&prior).map(|(log_probs, prior)| prior + log_probs[class]))
        };
        (0..parameters["weight"].len()).map(mixed).collect()
    }
}
