//! The adaptive softmax under the laws of `lexmax_conformance`, at every edge of its partition.

use lexmax_adaptive::{Adaptive, AdaptiveConfig};
use lexmax_conformance::{Case, check};

fn conforms(name: &str, config: AdaptiveConfig) {
    check(&Case {
        name,
        vocab_size: 41,
        hidden_size: 6,
        build: &|context, loss| {
            Ok(Box::new(Adaptive::new(context, &AdaptiveConfig { loss, ..config.clone() })?))
        },
        refuses: &[],
    });
}

#[test]
fn no_cutoffs() {
    conforms("adaptive without cutoffs", AdaptiveConfig::default());
}

#[test]
fn one_cluster() {
    conforms("adaptive, one cluster", AdaptiveConfig { cutoffs: vec![9], ..AdaptiveConfig::default() });
}

#[test]
fn three_clusters_with_every_bias() {
    let config = AdaptiveConfig {
        cutoffs: vec![5, 12, 25],
        div_value: 2.0,
        tail_bias: true,
        ..AdaptiveConfig::default()
    };
    conforms("adaptive, three clusters", config);
}

#[test]
fn narrowest_widths_and_no_bias() {
    let config = AdaptiveConfig {
        cutoffs: vec![1, 20],
        div_value: 100.0,
        head_bias: false,
        ..AdaptiveConfig::default()
    };
    conforms("adaptive, widths of one", config);
}

#[test]
fn clusters_as_wide_as_the_hidden_states() {
    let config = AdaptiveConfig { cutoffs: vec![10, 20], div_value: 1.0, ..AdaptiveConfig::default() };
    conforms("adaptive, full width", config);
}
