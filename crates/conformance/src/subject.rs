//! A layer under test with parameters, hidden states and targets to test it on.

use std::ops::Deref;

use lexmax_kernels::product::Precision;
use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Result, TrainingLoss, WordCounts};
use tch::{Device, Kind, Tensor, nn};

use crate::normal;

/// Builder of a layer for a case.
pub type Builder<'a> = dyn Fn(&BuildContext<'_>, LossOptions) -> Result<Box<dyn OutputLayer>> + 'a;

/// One row of the conformance table: a layer with fixed options of its own, tested under every
/// shared option.
pub struct Case<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// Classes; small, since gradients are checked by finite differences.
    pub vocab_size: i64,
    /// Width of hidden states.
    pub hidden_size: i64,
    /// Builds the layer.
    pub build: &'a Builder<'a>,
    /// Shared options that the layer refuses when it is built, each with the written reason.
    pub refuses: &'a [(&'a str, &'a str)],
}

/// A built layer with its variables and a batch.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The layer.
    pub layer: Box<dyn OutputLayer>,
    /// Its variables, all drawn from a normal distribution so that no bias hides at zero.
    pub store: nn::VarStore,
    /// Hidden states `[N, D]` that require gradients.
    pub hidden: Tensor,
    /// Targets `[N]`: the most frequent class, the rarest, a repeated one, others.
    pub targets: Tensor,
}

/// A case in one setting: how its layers compute and which layout their gradients have.
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    /// The case.
    pub case: &'a Case<'a>,
    /// The path that layers take, where a law does not name one.
    pub compute: Compute,
    /// Whether layers are built with row-sparse gradients.
    pub sparse: bool,
    /// Precision of the products of the training loss.
    pub precision: Precision,
}

impl<'a> Deref for Trial<'a> {
    type Target = Case<'a>;

    fn deref(&self) -> &Case<'a> {
        self.case
    }
}

pub(crate) const ROWS: i64 = 11;
pub(crate) const SEED: u64 = 20;
/// Rows of f64 logits that a chunk has room for on the chunked path.
const CHUNKED_ROWS: i64 = 3;

impl Case<'_> {
    /// Whether the layer refuses an option.
    pub(crate) fn refuses(&self, option: &str) -> bool {
        self.refuses.iter().any(|(name, _)| *name == option)
    }

    /// Zipf-like counts of the classes.
    pub(crate) fn counts(&self) -> WordCounts {
        let counts = (0..self.vocab_size).map(|id| (10_000.0 / (id as f64 + 2.7)) as u64 + 1).collect();
        WordCounts::new(counts).expect("falling counts")
    }

    fn targets(&self) -> Tensor {
        let last = self.vocab_size - 1;
        let spread = (0..ROWS).map(|row| match row {
            0 => 0,
            1 => last,
            2 | 3 => last / 2,
            4 => last / 3,
            _ => (row * row * 7 + 1) % self.vocab_size,
        });
        Tensor::from_slice(&spread.collect::<Vec<_>>())
    }
}

impl Trial<'_> {
    /// Tries to build the layer with the given loss options, on the path under test.
    pub(crate) fn try_build(&self, kind: Kind, options: LossOptions) -> Result<Subject> {
        self.build_with(SEED, self.compute, kind, options)
    }

    /// Tries to build the layer from a root seed, which its variables do not show: they are drawn
    /// anew.
    pub(crate) fn build_with(
        &self,
        seed: u64,
        path: Compute,
        kind: Kind,
        options: LossOptions,
    ) -> Result<Subject> {
        let mut store = nn::VarStore::new(Device::Cpu);
        // Drawn in f64 first and cast, so that every dtype sees the same numbers.
        store.set_kind(kind);
        let counts = self.counts();
        let mut context = BuildContext::new(store.root(), self.vocab_size, self.hidden_size, seed);
        context.counts = Some(&counts);
        context.compute = path;
        context.sparse_gradients = self.sparse;
        context.precision = self.precision;
        if path == Compute::Chunked {
            // So little that a batch has several chunks.
            context.workspace_bytes = usize::try_from(CHUNKED_ROWS * self.vocab_size * 8).ok();
        }
        let layer = (self.case.build)(&context, options)?;
        let mut rng = generator(SEED, "conformance/parameters", 0);
        let mut named: Vec<_> = store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, variable) in named {
            let values = normal(&mut rng, &variable.size(), 0.4).to_kind(kind);
            tch::no_grad(|| variable.shallow_clone().copy_(&values));
        }
        let hidden = normal(&mut rng, &[ROWS, self.hidden_size], 1.0).to_kind(kind).set_requires_grad(true);
        let targets = self.targets();
        Ok(Subject { layer, store, hidden, targets })
    }

    /// Builds the layer like [`Trial::try_build`], and panics where that fails.
    pub(crate) fn subject(&self, kind: Kind, options: LossOptions) -> Subject {
        self.try_build(kind, options).unwrap_or_else(|error| panic!("{}: build failed: {error}", self.name))
    }
}

impl Subject {
    /// The generator that every loss of a law is computed with: surrogates then draw the same
    /// negatives.
    pub(crate) fn rng() -> Generator {
        generator(SEED, "negatives", 0)
    }

    /// The loss of the subject's batch.
    pub(crate) fn loss(&mut self) -> TrainingLoss {
        let (hidden, targets) = (self.hidden.shallow_clone(), self.targets.shallow_clone());
        self.loss_of(&hidden, &targets)
    }

    /// The loss of another batch.
    pub(crate) fn loss_of(&mut self, hidden: &Tensor, targets: &Tensor) -> TrainingLoss {
        self.layer.loss_with(hidden, targets, &mut Self::rng()).unwrap()
    }

    /// Variables by name, in order.
    pub(crate) fn variables(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<_> =
            self.store.variables().into_iter().filter(|(_, variable)| variable.requires_grad()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }
}
