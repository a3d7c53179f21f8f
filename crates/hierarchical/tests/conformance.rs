//! Every tree under the laws of all output layers.
#![allow(clippy::unwrap_used)]

use lexmax_conformance::{Case, check};
use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind, build};

fn conforms(name: &str, config: &HierarchicalConfig) {
    check(&Case {
        name,
        vocab_size: 30,
        hidden_size: 5,
        build: &|context, loss| build(context, &HierarchicalConfig { loss, ..config.clone() }),
        refuses: &[],
    });
}

fn two_level(classes: Option<i64>, bins: Bins) -> HierarchicalConfig {
    HierarchicalConfig {
        tree: TreeKind::TwoLevel,
        classes,
        bins: Some(bins),
        ..HierarchicalConfig::default()
    }
}

#[test]
fn huffman() {
    conforms("huffman", &HierarchicalConfig::default());
}

#[test]
fn huffman_without_bias() {
    conforms("huffman without bias", &HierarchicalConfig { bias: false, ..HierarchicalConfig::default() });
}

#[test]
fn balanced() {
    conforms("balanced", &HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() });
}

#[test]
fn two_level_by_sqrt_count() {
    conforms("two-level by sqrt-count", &two_level(None, Bins::SqrtCount));
}

#[test]
fn two_level_by_count() {
    conforms("two-level by count", &two_level(Some(4), Bins::Count));
}

#[test]
fn two_level_by_size_without_bias() {
    let config = HierarchicalConfig { bias: false, ..two_level(Some(7), Bins::Size) };
    conforms("two-level by size without bias", &config);
}

#[test]
fn two_level_with_one_class() {
    conforms("two-level, one class", &two_level(Some(1), Bins::Size));
}

#[test]
fn two_level_with_a_class_for_each_word() {
    conforms("two-level, V classes", &two_level(Some(30), Bins::Size));
}
