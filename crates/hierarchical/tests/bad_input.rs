//! Configurations that cannot be built: each is an error that names the option, the value and what
//! was expected.
#![allow(clippy::unwrap_used)]

use lexmax_hierarchical::{BinaryTree, Bins, HierarchicalConfig, TreeKind, TwoLevel, build};
use lexmax_output::{BuildContext, LossOptions, WordCounts};
use tch::{Device, nn};

const VOCAB: i64 = 20;

/// The error of building with or without counts.
fn error(config: &HierarchicalConfig, counts: Option<&WordCounts>) -> String {
    let store = nn::VarStore::new(Device::Cpu);
    let mut context = BuildContext::new(store.root(), VOCAB, 4, 1);
    context.counts = counts;
    let error = build(&context, config).map(|layer| format!("{layer:?}")).unwrap_err().to_string();
    assert!(store.variables().is_empty(), "a refused layer leaves variables behind: {error}");
    error
}

fn two_level() -> HierarchicalConfig {
    HierarchicalConfig { tree: TreeKind::TwoLevel, ..HierarchicalConfig::default() }
}

fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[test]
fn counts_are_asked_for_where_they_are_needed() {
    says(&error(&HierarchicalConfig::default(), None), &["hierarchical", "counts is not given"]);
    for bins in [Bins::Count, Bins::SqrtCount] {
        says(&error(&HierarchicalConfig { bins: Some(bins), ..two_level() }, None), &["counts is not given"]);
    }
    let store = nn::VarStore::new(Device::Cpu);
    let context = BuildContext::new(store.root(), VOCAB, 4, 1);
    for config in [
        HierarchicalConfig { bins: Some(Bins::Size), ..two_level() },
        HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() },
    ] {
        assert!(build(&context, &config).is_ok(), "{config:?} needs no counts");
    }
}

#[test]
fn counts_of_another_vocabulary_are_refused_in_every_tree() {
    let counts = WordCounts::new(vec![3, 2, 1]).unwrap();
    for tree in [TreeKind::Huffman, TreeKind::Balanced, TreeKind::TwoLevel] {
        let config = HierarchicalConfig { tree, ..HierarchicalConfig::default() };
        says(&error(&config, Some(&counts)), &["counts is 3", "20 classes"]);
    }
}

#[test]
fn class_counts_lie_between_one_and_v() {
    let counts = WordCounts::new(vec![1; VOCAB as usize]).unwrap();
    for classes in [0, -4, VOCAB + 1] {
        let config = HierarchicalConfig { classes: Some(classes), ..two_level() };
        says(&error(&config, Some(&counts)), &[&format!("classes is {classes}"), "1 <= classes <= 20"]);
    }
}

#[test]
fn options_of_the_two_level_tree_are_refused_by_binary_ones() {
    let counts = WordCounts::new(vec![1; VOCAB as usize]).unwrap();
    let config = HierarchicalConfig { classes: Some(4), ..HierarchicalConfig::default() };
    says(&error(&config, Some(&counts)), &["`classes` is refused", "two-level"]);
    let config = HierarchicalConfig {
        tree: TreeKind::Balanced,
        bins: Some(Bins::Size),
        ..HierarchicalConfig::default()
    };
    says(&error(&config, Some(&counts)), &["`bins` is refused", "two-level"]);
}

#[test]
fn a_layer_refuses_the_configuration_of_another_one() {
    let store = nn::VarStore::new(Device::Cpu);
    let context = BuildContext::new(store.root(), VOCAB, 4, 1);
    let config = HierarchicalConfig { bins: Some(Bins::Size), ..two_level() };
    says(
        &BinaryTree::new(&context, &config).unwrap_err().to_string(),
        &["tree is TwoLevel", "huffman or balanced"],
    );
    let config = HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() };
    says(&TwoLevel::new(&context, &config).unwrap_err().to_string(), &["tree is Balanced", "two-level"]);
}

#[test]
fn bad_loss_options_and_sizes_are_refused() {
    let smoothing = LossOptions { label_smoothing: -0.1, ..LossOptions::default() };
    let config = HierarchicalConfig { loss: smoothing, ..HierarchicalConfig::default() };
    says(&error(&config, None), &["label_smoothing is -0.1"]);
    let store = nn::VarStore::new(Device::Cpu);
    let config = HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() };
    let none = build(&BuildContext::new(store.root(), 0, 4, 1), &config).unwrap_err().to_string();
    says(&none, &["vocab_size is 0"]);
}

#[test]
fn configurations_are_read_from_toml_and_unknown_keys_refused() {
    let read = |text: &str| toml::from_str::<HierarchicalConfig>(text);
    let config = read("tree = \"two-level\"\nclasses = 12\nbins = \"sqrt-count\"\nbias = false").unwrap();
    let expected =
        HierarchicalConfig { classes: Some(12), bins: Some(Bins::SqrtCount), bias: false, ..two_level() };
    assert_eq!(config, expected);
    assert_eq!(read("").unwrap(), HierarchicalConfig::default());
    assert_eq!(read(&toml::to_string(&expected).unwrap()).unwrap(), expected);
    says(&read("tied = true").unwrap_err().to_string(), &["unknown field `tied`"]);
    says(
        &read("tree = \"ternary\"").unwrap_err().to_string(),
        &["ternary", "huffman", "balanced", "two-level"],
    );
}
