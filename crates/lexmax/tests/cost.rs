//! The counted cost of every layer beside a count of its dot products, row by row.
#![cfg(all(
    feature = "full",
    feature = "sampled",
    feature = "hierarchical",
    feature = "adaptive",
    feature = "mixture"
))]
#![allow(clippy::unwrap_used)]

mod common;

use common::LAYERS;
use lexmax::OutputConfig;
use lexmax::hierarchical::TwoLevel;
use lexmax::output::{BuildContext, LayerCost, WordCounts};
use tch::{Device, Kind, Tensor, nn};

const V: usize = 40;
const D: usize = 6;

/// How often each class occurs in training, and in the batch: expected costs are then those of this
/// batch.
fn counts() -> Vec<u64> {
    (1..=V as u64).rev().collect()
}

/// Multiplications and additions of the dot products that score a row: `(how many, how wide)` each.
type Dots = Vec<(usize, usize)>;

fn operations(rows: impl Iterator<Item = Dots>) -> f64 {
    rows.flatten().map(|(many, wide)| 2.0 * (many * wide) as f64).sum()
}

/// Steps to each class in a tree, by joining the two lightest nodes one after the other.
fn huffman_lengths() -> Vec<usize> {
    let mut nodes: Vec<(u64, Vec<usize>)> =
        counts().into_iter().enumerate().map(|(class, count)| (count, vec![class])).collect();
    let mut lengths = vec![0; V];
    while nodes.len() > 1 {
        nodes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let (one, other) = (nodes.pop().unwrap(), nodes.pop().unwrap());
        let below = [one.1, other.1].concat();
        below.iter().for_each(|class| lengths[*class] += 1);
        nodes.push((one.0 + other.0, below));
    }
    lengths
}

/// The dot products of a row with this target in training, and in an evaluation where they differ.
fn dots(table: &toml::Table, target: usize, rows: usize) -> (Dots, Option<Dots>) {
    let text = |key: &str| table.get(key).map(|value| value.as_str().unwrap());
    let number = |key: &str| table.get(key).map(|value| value.as_integer().unwrap() as usize);
    let every = vec![(V, D)];
    match (text("layer").unwrap(), text("tree")) {
        ("full" | "sigsoftmax", _) => (every, None),
        ("sampled", _) => (vec![(1 + number("samples").unwrap_or(rows), D)], Some(every)),
        ("hierarchical", None) => (vec![(huffman_lengths()[target], D)], None),
        // Of 40 leaves 24 are at depth 5 and 16 at depth 6.
        ("hierarchical", Some("balanced")) => (vec![(if target < 24 { 5 } else { 6 }, D)], None),
        ("hierarchical", Some("two-level")) => {
            let sizes = class_sizes(table);
            let mut first = 0;
            let own = sizes.iter().find(|size| {
                first += **size;
                target < first
            });
            (vec![(sizes.len() + own.unwrap(), D)], None)
        }
        ("adaptive", _) => {
            let integers = |value: &toml::Value| value.as_array().unwrap().clone();
            let cutoffs = table.get("cutoffs").map(integers).unwrap_or_default();
            let mut edges: Vec<usize> =
                cutoffs.iter().map(|cutoff| cutoff.as_integer().unwrap() as usize).collect();
            edges.push(V);
            let mut dots = vec![(edges[0] + edges.len() - 1, D)];
            if let Some(cluster) = edges.windows(2).position(|edge| (edge[0]..edge[1]).contains(&target)) {
                let divisor = table.get("div_value").map_or(4.0, |value| value.as_float().unwrap());
                let width = (D as f64 / divisor.powi(cluster as i32 + 1)).floor().max(1.0) as usize;
                dots.extend([(width, D), (edges[cluster + 1] - edges[cluster], width)]);
            }
            (dots, None)
        }
        ("mos", _) => {
            let (components, width) = (number("components").unwrap(), number("latent_size").unwrap_or(D));
            let prior = if components > 1 { components } else { 0 };
            (vec![(prior, D), (components * width, D), (components * V, width)], None)
        }
        other => panic!("no count for {other:?}"),
    }
}

fn class_sizes(table: &toml::Table) -> Vec<usize> {
    let mut own = table.clone();
    own.remove("layer");
    let (store, counts) = (nn::VarStore::new(Device::Cpu), WordCounts::new(counts()).unwrap());
    let context =
        BuildContext { counts: Some(&counts), ..BuildContext::new(store.root(), V as i64, D as i64, 1) };
    let layer = TwoLevel::new(&context, &own.try_into().unwrap()).unwrap();
    layer.class_sizes().into_iter().map(|size| size as usize).collect()
}

fn cost(config: &str, rows: usize, sparse_gradients: bool) -> (LayerCost, u64) {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let (store, counts) = (nn::VarStore::new(Device::Cpu), WordCounts::new(counts()).unwrap());
    let embedding = Tensor::zeros([V as i64, D as i64], (Kind::Float, Device::Cpu));
    let context = BuildContext {
        counts: Some(&counts),
        embedding: Some(embedding),
        sparse_gradients,
        ..BuildContext::new(store.root(), V as i64, D as i64, 1)
    };
    let cost = config.build(&context).unwrap().cost(rows as u64);
    (cost, store.variables().values().map(|variable| variable.numel() as u64).sum())
}

#[test]
fn counted_operations_are_those_of_the_dot_products() {
    let targets: Vec<usize> =
        counts().iter().enumerate().flat_map(|(class, count)| vec![class; *count as usize]).collect();
    let rows = targets.len();
    for config in LAYERS {
        let table: toml::Table = toml::from_str(config).unwrap();
        let (cost, parameters) = cost(config, rows, false);
        let train = operations(targets.iter().map(|target| dots(&table, *target, rows).0));
        let eval = operations(targets.iter().map(|target| {
            let (train, eval) = dots(&table, *target, rows);
            eval.unwrap_or(train)
        }));
        // A product has two gradients, by either factor.
        let expected = [3.0 * train, eval];
        for (counted, expected) in [cost.train.flops, cost.eval.flops].into_iter().zip(expected) {
            assert!((counted - expected).abs() < 1e-9 * expected, "{config}: {counted}, expected {expected}");
        }
        let shared = if config.contains("tied = true") { (V * D) as u64 } else { 0 };
        assert_eq!(cost.parameters, parameters + shared, "{config}");
    }
}

#[test]
fn dense_gradients_of_touched_rows_cost_the_bytes_of_all() {
    for config in LAYERS.iter().filter(|config| !config.contains("tied = true")) {
        let [dense, sparse] = [false, true].map(|sparse| cost(config, 3, sparse).0);
        let table: toml::Table = toml::from_str(config).unwrap();
        let of_words =
            match (table["layer"].as_str().unwrap(), table.get("tree").and_then(toml::Value::as_str)) {
                ("hierarchical", Some("two-level")) => {
                    // Every row reads every class.
                    dense.parameters - (class_sizes(&table).len() * (D + 1)) as u64
                }
                ("sampled" | "hierarchical", _) => dense.parameters,
                _ => 0,
            };
        let more = dense.train.bytes - sparse.train.bytes;
        assert!((more - (4 * of_words) as f64).abs() < 1e-6, "{config}: {more}, expected 4 times {of_words}");
        assert_eq!(dense.train.flops, sparse.train.flops, "{config}");
    }
}
