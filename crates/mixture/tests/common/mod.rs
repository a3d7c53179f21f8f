//! Layers with parameters away from zero, and the slow, obvious f64 oracles of their distributions.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;

use lexmax_kernels::logspace::log_sum_exp;
use lexmax_kernels::seed::generator;
use lexmax_mixture::{Mixture, MixtureConfig};
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer};
use tch::{Device, Kind, Tensor, nn};

pub struct Built {
    pub layer: Box<dyn OutputLayer>,
    pub store: nn::VarStore,
}

/// Numbers in `-scale..scale` without a pattern that a layer could share.
pub fn wave(shape: &[i64], phase: f64, scale: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    ((Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.73 + phase).sin() * scale).view(shape)
}

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
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let mut context = BuildContext::new(store.root(), vocab_size, hidden_size, 7);
        context.compute = compute;
        let built = Built { layer: Box::new(Mixture::new(&context, &self.0).unwrap()), store };
        for (index, (_, variable)) in built.variables().into_iter().enumerate() {
            let values = wave(&variable.size(), 0.37 + index as f64, 0.8).to_kind(kind);
            tch::no_grad(|| variable.shallow_clone().copy_(&values));
        }
        built
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

impl Built {
    /// Variables by name, in order.
    pub fn variables(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<_> = self.store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    pub fn set(&self, name: &str, values: &[f64]) {
        let variable = self.store.variables()[name].shallow_clone();
        let values = Tensor::from_slice(values).view(variable.size().as_slice()).to_kind(variable.kind());
        tch::no_grad(|| variable.shallow_clone().copy_(&values));
    }

    /// The loss as a tensor.
    pub fn loss(&mut self, hidden: &Tensor, targets: &[i64]) -> Tensor {
        let rng = &mut generator(1, "negatives", 0);
        self.layer.loss(hidden, &Tensor::from_slice(targets), rng).unwrap().into_tensor()
    }

    pub fn log_prob(&self, hidden: &Tensor, targets: &[i64]) -> Vec<f64> {
        floats(self.layer.log_prob(hidden, &Tensor::from_slice(targets)).unwrap().tensor())
    }

    pub fn log_probs(&self, hidden: &Tensor) -> Tensor {
        self.layer.log_probs(hidden).unwrap().into_tensor()
    }

    /// Parameters as rows of numbers, for the oracle.
    pub fn parameters(&self) -> Parameters {
        self.variables().into_iter().map(|(name, variable)| (name, rows(&variable))).collect()
    }
}

pub fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).view(-1)).unwrap()
}

/// Rows of a matrix; a vector is one row.
pub fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let width = tensor.size().last().copied().unwrap() as usize;
    floats(tensor).chunks(width).map(<[f64]>::to_vec).collect()
}

pub fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0))
}

/// Parameters by name.
pub type Parameters = HashMap<String, Vec<Vec<f64>>>;

fn affine(weight: &[Vec<f64>], bias: Option<&Vec<Vec<f64>>>, input: &[f64]) -> Vec<f64> {
    let product = |row: &Vec<f64>| row.iter().zip(input).map(|(a, b)| a * b).sum::<f64>();
    weight.iter().enumerate().map(|(i, row)| product(row) + bias.map_or(0.0, |bias| bias[0][i])).collect()
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let normaliser = log_sum_exp(logits.iter().copied());
    logits.iter().map(|logit| logit - normaliser).collect()
}
