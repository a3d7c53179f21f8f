//! Layers with random parameters, shared by the integration tests.
#![allow(dead_code)] // each test binary uses its own part

use lexmax_conformance::uniform;
use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind, build};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, WordCounts};
use tch::{Device, Kind, nn};

/// A layer, its variables and the generator for its input.
pub struct Fixture {
    pub layer: Box<dyn OutputLayer>,
    pub store: nn::VarStore,
    pub rng: Generator,
}

/// Counts `1000 / rank`.
pub fn counts(vocab_size: i64) -> WordCounts {
    WordCounts::new((1..=vocab_size as u64).map(|rank| 1000 / rank).collect()).unwrap()
}

/// Builds a layer; all parameters, biases too, are uniform in `-1..1` and the same in every dtype
/// up to rounding.
pub fn make(kind: Kind, vocab_size: i64, hidden_size: i64, config: &HierarchicalConfig) -> Fixture {
    make_in(kind, vocab_size, hidden_size, config, Compute::Fastest, false)
}

/// Builds a layer like [`make`], on a given path and with row-sparse or dense gradients.
pub fn make_in(
    kind: Kind,
    vocab_size: i64,
    hidden_size: i64,
    config: &HierarchicalConfig,
    compute: Compute,
    sparse_gradients: bool,
) -> Fixture {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(kind);
    let counts = counts(vocab_size);
    let mut context = BuildContext::new(store.root(), vocab_size, hidden_size, 5);
    context.counts = Some(&counts);
    context.compute = compute;
    context.sparse_gradients = sparse_gradients;
    let layer = build(&context, config).unwrap();
    let mut rng = generator(5, "test", 0);
    let mut named: Vec<_> = store.variables().into_iter().collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, variable) in named {
        let drawn = uniform(&mut rng, &variable.size(), 1.0).to_kind(kind);
        tch::no_grad(|| variable.shallow_clone().copy_(&drawn));
    }
    Fixture { layer, store, rng }
}

/// One configuration of every tree, with the given loss options.
pub fn every_tree(loss: &LossOptions) -> Vec<HierarchicalConfig> {
    let config =
        |tree, bins| HierarchicalConfig { tree, bins, loss: loss.clone(), ..HierarchicalConfig::default() };
    vec![
        config(TreeKind::Huffman, None),
        config(TreeKind::Balanced, None),
        config(TreeKind::TwoLevel, Some(Bins::SqrtCount)),
    ]
}
