//! A layer with parameters that are not zero, and a batch.

use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::{BuildContext, OutputLayer, Result, WordCounts};
use lexmax_sampled::proposal::{LogUniform, Uniform, Unigram};
use lexmax_sampled::{Proposal, ProposalKind, Sampled, SampledConfig};
use rand::RngExt;
use tch::{Device, Kind, Tensor, nn};

pub const V: i64 = 23;
pub const D: i64 = 5;
pub const N: i64 = 7;

/// Counts that fall; the last three classes were never seen.
pub fn counts(vocab_size: i64) -> WordCounts {
    let seen = vocab_size - 3;
    let count = |id: i64| if id < seen { (500.0 / (id as f64 + 1.5)) as u64 + 1 } else { 0 };
    WordCounts::new((0..vocab_size).map(count).collect()).unwrap()
}

pub fn normal(name: &str, shape: &[i64], scale: f64) -> Tensor {
    lexmax_conformance::normal(&mut generator(11, name, 0), shape, scale)
}

/// A layer, its variables and a batch with a repeated target, the most frequent class and one that
/// was never seen.
pub struct Fixture {
    pub layer: Sampled,
    pub store: nn::VarStore,
    pub hidden: Tensor,
    pub targets: Tensor,
}

impl Fixture {
    pub fn new(config: &SampledConfig) -> Self {
        Self::of_kind(config, Kind::Double).unwrap()
    }

    pub fn of_kind(config: &SampledConfig, kind: Kind) -> Result<Self> {
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let counts = counts(V);
        let mut context = BuildContext::new(store.root(), V, D, 3);
        context.counts = Some(&counts);
        let layer = Sampled::new(&context, config)?;
        for (name, mut variable) in store.variables() {
            let values = normal(&name, &variable.size(), 0.7);
            tch::no_grad(|| variable.copy_(&values));
        }
        let hidden = normal("hidden", &[N, D], 1.0).to_kind(kind).set_requires_grad(true);
        let targets = Tensor::from_slice(&[4_i64, 0, 4, V - 1, 1, 9, 15]);
        Ok(Self { layer, store, hidden, targets })
    }

    pub fn loss(&mut self) -> Tensor {
        self.layer
            .loss_with(&self.hidden, &self.targets, &mut generator(5, "negatives", 0))
            .unwrap()
            .into_tensor()
    }

    pub fn variable(&self, name: &str) -> Tensor {
        self.store.variables()[name].shallow_clone()
    }
}

/// The proposal that a configuration names, where it is one that is drawn from.
pub fn proposal(config: &SampledConfig, vocab_size: i64) -> Option<Box<dyn Proposal>> {
    Some(match config.proposal {
        ProposalKind::Uniform => Box::new(Uniform::new(vocab_size).unwrap()),
        ProposalKind::LogUniform => Box::new(LogUniform::new(vocab_size).unwrap()),
        ProposalKind::Unigram => Box::new(Unigram::new(&counts(vocab_size), config.power()).unwrap()),
        ProposalKind::InBatch => return None,
    })
}

/// A proposal with these probabilities.
#[derive(Debug, Clone)]
pub struct FixedProposal(pub Vec<f64>);

impl Proposal for FixedProposal {
    fn vocab_size(&self) -> i64 {
        self.0.len() as i64
    }

    fn prob(&self, id: i64) -> f64 {
        self.0[id as usize]
    }

    fn draw(&self, rng: &mut Generator) -> i64 {
        let mut rest = rng.random::<f64>();
        (0..self.vocab_size() - 1)
            .find(|&id| {
                rest -= self.prob(id);
                rest < 0.0
            })
            .unwrap_or(self.vocab_size() - 1)
    }
}
