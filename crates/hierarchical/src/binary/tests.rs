//! The best-first search: exact, and far from scoring every node where the distribution is peaked.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use rand::RngExt;
use tch::{Device, Kind, Tensor, nn};

use super::*;

const HIDDEN: i64 = 8;

/// A balanced tree in f64 with weights uniform in `-scale..scale`, and hidden states in `-1..1`.
fn layer(vocab_size: i64, scale: f64, rows: i64) -> (BinaryTree, Tensor) {
    layer_in(Compute::Fastest, vocab_size, scale, rows)
}

fn layer_in(compute: Compute, vocab_size: i64, scale: f64, rows: i64) -> (BinaryTree, Tensor) {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let mut context = BuildContext::new(store.root(), vocab_size, HIDDEN, 3);
    context.init_range = Some(scale);
    context.compute = compute;
    let config = HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() };
    let layer = BinaryTree::new(&context, &config).unwrap();
    let mut rng = generator(1, "hidden", 0);
    let values: Vec<f64> = (0..rows * HIDDEN).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
    (layer, Tensor::from_slice(&values).view([rows, HIDDEN]))
}

/// Nodes scored a row, after checking the answer against the dense one.
fn scored(layer: &BinaryTree, hidden: &Tensor, k: i64) -> f64 {
    let (top, scored) = search::top_k(&layer.tree, &layer.nodes, hidden, k).unwrap();
    let (log_probs, ids) = layer.log_probs(hidden).unwrap().tensor().topk(k, -1, true, true);
    assert_eq!(top.ids, ids);
    let error = (&top.log_probs - &log_probs).abs().max().double_value(&[]);
    assert!(error <= 1e-12 * log_probs.abs().max().double_value(&[]).max(1.0), "off by {error}");
    scored as f64 / hidden.size()[0] as f64
}

#[test]
fn a_peaked_distribution_is_searched_without_scoring_every_node() {
    let (layer, hidden) = layer(4096, 6.0, 20);
    for k in [1, 10] {
        let scored = scored(&layer, &hidden, k);
        assert!(scored < 4096.0 / 16.0, "{scored} nodes a row of 4095 for k = {k}");
    }
}

#[test]
fn a_flat_distribution_is_the_worst_case_and_scores_all_nodes() {
    let (layer, hidden) = layer(256, 1e-3, 3);
    let scored = scored(&layer, &hidden, 1);
    assert!(scored <= 255.0, "{scored}: no node is scored twice");
    assert!(scored > 128.0, "{scored}: if this prunes, the count above proves nothing");
}

#[test]
fn rows_beyond_one_block_are_searched_too() {
    let (layer, hidden) = layer(20, 2.0, 1030);
    assert!(scored(&layer, &hidden, 3) <= 19.0);
}

#[test]
fn long_batches_are_scored_in_chunks_with_the_same_result() {
    let (layer, _) = layer_in(Compute::Reference, 64, 1.0, 1);
    let rows = GATHERED / (HIDDEN * 6) + 7;
    let hidden = Tensor::linspace(-1.0, 1.0, rows * HIDDEN, (Kind::Double, Device::Cpu)).view([rows, HIDDEN]);
    let targets = Tensor::arange(rows, (Kind::Int64, Device::Cpu)).remainder(64);
    let chunked = layer.log_prob(&hidden, &targets).unwrap().into_tensor();
    let whole = layer.path_log_prob(&hidden, &targets).unwrap();
    assert_eq!(chunked.size(), [rows]);
    assert_eq!((chunked - whole).abs().max().double_value(&[]), 0.0);
}

#[test]
fn a_diverged_model_ends_the_search() {
    let (layer, hidden) = layer(50, 1.0, 2);
    let _ = tch::no_grad(|| layer.nodes.weight().shallow_clone().fill_(f64::NAN));
    let top = layer.top_k(&hidden, 4).unwrap();
    assert_eq!(top.ids.size(), [2, 4]);
    assert_eq!(top.log_probs.isnan().all().int64_value(&[]), 1);
    assert_eq!(layer.sample(&hidden, &mut generator(1, "draws", 0)).unwrap().size(), [2]);
}
