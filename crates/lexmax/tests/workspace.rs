//! The memory limit of the build context reaches the sweeps of every layer that has them.
#![cfg(all(
    feature = "full",
    feature = "sampled",
    feature = "hierarchical",
    feature = "adaptive",
    feature = "mixture"
))]
#![allow(clippy::unwrap_used)]

use lexmax::OutputConfig;
use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use tch::{Device, nn};

fn build(config: &str, limit: Option<usize>) -> Box<dyn OutputLayer> {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let counts = WordCounts::new((1..=60).rev().collect()).unwrap();
    let context = BuildContext {
        workspace_bytes: limit,
        counts: Some(&counts),
        ..BuildContext::new(store.root(), 60, 4, 1)
    };
    config.build(&context).unwrap()
}

#[test]
fn the_limit_of_the_context_is_that_of_every_sweep() {
    let layers = [
        ("layer = \"full\"", "Default"),
        ("layer = \"sampled\"\nsamples = 8", "Default"),
        ("layer = \"adaptive\"\ncutoffs = [10, 30]", "Default"),
        ("layer = \"sigsoftmax\"", "Default"),
        ("layer = \"mos\"\ncomponents = 3", "QuarterMore"),
        ("layer = \"mos\"\ncomponents = 1", "Default"),
    ];
    for (config, default) in layers {
        for (limit, expected) in [(None, default), (Some(5_000_000), "Bytes(5000000)")] {
            let layer = format!("{:?}", build(config, limit));
            assert!(layer.contains(&format!("limit: {expected},")), "{config} with {limit:?}: {layer}");
        }
    }
    for (limit, expected) in [(None, "None"), (Some(5_000_000), "Some(5000000)")] {
        let layer = format!("{:?}", build("layer = \"hierarchical\"\ntree = \"two-level\"", limit));
        assert!(layer.contains(&format!("memory_limit: {expected} ")), "{layer}");
    }
}
