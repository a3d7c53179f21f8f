//! Classes by bins, the search by classes, and the ends of the range of class counts.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::seed::generator;
use rand::RngExt;
use tch::{Device, Kind, Tensor, nn};

use super::*;

const HIDDEN: i64 = 8;

struct Fixture {
    layer: TwoLevel,
    store: nn::VarStore,
    hidden: Tensor,
}

fn layer(vocab_size: i64, classes: Option<i64>, bins: Bins, scale: f64) -> Fixture {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let counts: Vec<u64> = (0..vocab_size as u64).map(|id| 100_000 / (id + 1)).collect();
    let counts = WordCounts::new(counts).unwrap();
    let mut context = BuildContext::new(store.root(), vocab_size, HIDDEN, 3);
    context.counts = Some(&counts);
    context.init_range = Some(scale);
    let config = HierarchicalConfig {
        tree: TreeKind::TwoLevel,
        classes,
        bins: Some(bins),
        ..HierarchicalConfig::default()
    };
    let layer = TwoLevel::new(&context, &config).unwrap();
    let mut rng = generator(1, "hidden", 0);
    let values: Vec<f64> = (0..9 * HIDDEN).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
    Fixture { layer, store, hidden: Tensor::from_slice(&values).view([9, HIDDEN]) }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// Words scored a row, after checking the answer against the dense one.
fn scored(made: &Fixture, k: i64) -> f64 {
    let (top, scored) = made.layer.search(&made.hidden, k).unwrap();
    let (log_probs, ids) = made.layer.log_probs(&made.hidden).unwrap().tensor().topk(k, -1, true, true);
    assert_eq!(top.ids, ids);
    assert!(largest_difference(&top.log_probs, &log_probs) < 1e-12);
    scored as f64 / made.hidden.size()[0] as f64
}

#[test]
fn a_peaked_distribution_is_searched_without_scoring_every_word() {
    let made = layer(4096, None, Bins::Size, 6.0);
    for k in [1, 10] {
        let scored = scored(&made, k);
        assert!(scored < 4096.0 / 8.0, "{scored} words a row of 4096 for k = {k}");
    }
}

#[test]
fn a_flat_distribution_is_the_worst_case_and_scores_all_words() {
    // Equal classes of near-equal words: k = V must open every class, and none twice.
    let made = layer(100, Some(10), Bins::Size, 1e-3);
    assert_eq!(scored(&made, 100), 100.0);
}

#[test]
fn bins_decide_the_sizes_of_the_classes() {
    let spread = |bins| {
        let sizes = layer(400, None, bins, 1.0).layer.class_sizes();
        assert_eq!((sizes.len(), sizes.iter().sum::<i64>()), (20, 400), "{bins:?}");
        sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
    };
    let (count, sqrt_count, size) = (spread(Bins::Count), spread(Bins::SqrtCount), spread(Bins::Size));
    assert!(count > 2 * sqrt_count && sqrt_count > size && size <= 1, "{count} {sqrt_count} {size}");
}

#[test]
fn one_class_or_v_classes_is_the_plain_softmax() {
    for (classes, weight, bias) in [(1, "weight", "bias"), (30, "class_weight", "class_bias")] {
        let made = layer(30, Some(classes), Bins::Count, 1.0);
        let variables = made.store.variables();
        let plain =
            made.hidden.linear(&variables[weight], Some(&variables[bias])).log_softmax(-1, Kind::Double);
        let log_probs = made.layer.log_probs(&made.hidden).unwrap().into_tensor();
        assert!(largest_difference(&log_probs, &plain) < 1e-13, "{classes} classes");
    }
}

#[test]
fn the_expected_cost_follows_the_class_sizes() {
    let made = layer(100, Some(10), Bins::Size, 1.0);
    // 10 classes and a class of 10 words, 8 wide, a multiplication and an addition each.
    assert_eq!(made.layer.cost(7).eval.flops, 7.0 * 8.0 * 2.0 * 20.0);
    assert_eq!(made.layer.cost(7).parameters, 100 * 9 + 10 * 9);
}

#[test]
fn an_empty_batch_has_empty_answers() {
    let made = layer(30, None, Bins::Count, 1.0);
    let hidden = made.hidden.narrow(0, 0, 0);
    let targets = Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    assert_eq!(made.layer.log_prob(&hidden, &targets).unwrap().tensor().size(), [0]);
    assert_eq!(made.layer.log_probs(&hidden).unwrap().tensor().size(), [0, 30]);
    assert_eq!(made.layer.top_k(&hidden, 2).unwrap().ids.size(), [0, 2]);
    assert_eq!(made.layer.sample(&hidden, &mut generator(1, "draws", 0)).unwrap().size(), [0]);
}
