//! Defects of other implementations that trees must not have, by their rows in `docs/DEFECTS.md`.
//! Each check is also shown to reject the defect.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, every_tree, make};
use lexmax_conformance::uniform;
use lexmax_hierarchical::tree::CodeTree;
use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::{LossOptions, Reduction};
use tch::{Kind, Tensor};

const VOCAB: i64 = 200;
const HIDDEN: i64 = 6;

fn rng() -> Generator {
    generator(1, "negatives", 0)
}

fn spread_targets(rows: i64, vocab_size: i64) -> Tensor {
    Tensor::from_slice(&(0..rows).map(|row| row * row * 13 % vocab_size).collect::<Vec<_>>())
}

fn at_most_one(log_probs: &Tensor) -> bool {
    log_probs.max().double_value(&[]) <= 0.0
}

/// Row 12: `log(x + 1e-5)` of fastText gives probabilities above 1.
#[test]
fn a20_12_no_probability_exceeds_one() {
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16] {
        for config in &every_tree(&LossOptions::default()) {
            let mut made = make(kind, VOCAB, HIDDEN, config);
            for scale in [1.0, 20.0, 1e4] {
                let hidden = uniform(&mut made.rng, &[30, HIDDEN], scale).to_kind(kind);
                assert!(
                    at_most_one(made.layer.log_probs(&hidden).unwrap().tensor()),
                    "log_probs {kind:?} {scale}"
                );
                let log_prob = made.layer.log_prob(&hidden, &spread_targets(30, VOCAB)).unwrap();
                assert!(at_most_one(log_prob.tensor()), "log_prob {kind:?} {scale}");
                assert!(
                    at_most_one(&made.layer.top_k(&hidden, 3).unwrap().log_probs),
                    "top_k {kind:?} {scale}"
                );
            }
        }
    }
    let logits = uniform(&mut generator(1, "logits", 0), &[500], 20.0).to_kind(Kind::Float);
    assert!(!at_most_one(&(logits.sigmoid() + 1e-5).log()), "the floor of the defect passes the check");
}

/// Losses of plain gradient descent on one batch, with the layer's loss times `sign`.
fn descend(made: &mut Fixture, sign: f64) -> Vec<f64> {
    let hidden = uniform(&mut made.rng, &[12, HIDDEN], 1.0);
    let targets = spread_targets(12, VOCAB);
    let mut losses = vec![];
    for _ in 0..25 {
        let loss = made.layer.loss_with(&hidden, &targets, &mut rng()).unwrap().into_tensor() * sign;
        losses.push(loss.double_value(&[]));
        loss.backward();
        for (_, mut variable) in made.store.variables() {
            let step = variable.grad() * 0.3;
            tch::no_grad(|| variable.f_sub_(&step).map(|_| ())).unwrap();
            variable.zero_grad();
        }
    }
    losses
}

fn falls_and_stays_positive(losses: &[f64]) -> bool {
    losses.iter().all(|&loss| loss >= 0.0) && losses.windows(2).all(|pair| pair[1] < pair[0])
}

/// Row 13: gensim summed the loss of its hierarchical softmax with the wrong sign.
#[test]
fn a20_13_the_loss_is_positive_and_falls_on_a_fixed_batch() {
    for config in every_tree(&LossOptions::default()) {
        let losses = descend(&mut make(Kind::Double, VOCAB, HIDDEN, &config), 1.0);
        assert!(falls_and_stays_positive(&losses), "{:?}: {losses:?}", config.tree);
        let wrong = descend(&mut make(Kind::Double, VOCAB, HIDDEN, &config), -1.0);
        assert!(!falls_and_stays_positive(&wrong), "{:?}: the wrong sign passes the check", config.tree);
    }
}

/// Row 15: Megatron smoothed over the classes of one shard. Here: the same formula for 1, 2, ...
/// `V` classes.
#[test]
fn a20_15_smoothing_is_over_all_words_whatever_the_classes() {
    let smoothing = 0.3;
    let loss =
        LossOptions { label_smoothing: smoothing, reduction: Reduction::None, ..LossOptions::default() };
    for classes in [1, 2, 7, VOCAB] {
        let (tree, bins) = (TreeKind::TwoLevel, Some(Bins::Size));
        let config = HierarchicalConfig {
            tree,
            classes: Some(classes),
            bins,
            loss: loss.clone(),
            ..Default::default()
        };
        let mut made = make(Kind::Double, VOCAB, HIDDEN, &config);
        let hidden = uniform(&mut made.rng, &[12, HIDDEN], 1.0);
        let targets = spread_targets(12, VOCAB);
        let got = made.layer.loss_with(&hidden, &targets, &mut rng()).unwrap().into_tensor();
        let dense = made.layer.log_probs(&hidden).unwrap().into_tensor();
        let of_targets = dense.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1);
        let formula = |mean: &Tensor| -(&of_targets * (1.0 - smoothing) + mean * smoothing);
        let follows = |expected: &Tensor| (&got - expected).abs().max().double_value(&[]) < 1e-12;
        assert!(follows(&formula(&dense.mean_dim(1, false, Kind::Double))), "{classes} classes");

        // Near enough to the equal bins to stand for the defect.
        let size = (VOCAB + classes - 1) / classes;
        let local = |row: i64| {
            let target = targets.int64_value(&[row]);
            let first = target / size * size;
            dense.get(row).narrow(0, first, size.min(VOCAB - first)).mean(Kind::Double)
        };
        let local = Tensor::stack(&(0..12).map(local).collect::<Vec<_>>(), 0);
        assert_eq!(
            follows(&formula(&local)),
            classes == 1,
            "{classes} classes: smoothing over the own class only"
        );
    }
}

/// Whether a loss has the dtype of the parameters and is right to the rounding of that dtype.
fn right_in_kind(loss: &Tensor, kind: Kind, truth: f64) -> bool {
    let epsilon = match kind {
        Kind::BFloat16 => 2_f64.powi(-7),
        Kind::Float => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    loss.kind() == kind && (loss.double_value(&[]) - truth).abs() <= 8.0 * epsilon * truth.abs()
}

/// Row 17: PyTorch's adaptive softmax failed in half precision, as it made a buffer of another
/// kind.
#[test]
fn a20_17_forward_and_backward_in_every_kind() {
    for loss in [LossOptions::default(), LossOptions { label_smoothing: 0.1, ..LossOptions::default() }] {
        for config in every_tree(&loss) {
            let run = |kind| {
                let mut made = make(kind, VOCAB, HIDDEN, &config);
                let hidden = uniform(&mut made.rng, &[12, HIDDEN], 1.0).to_kind(kind).set_requires_grad(true);
                let loss = made
                    .layer
                    .loss_with(&hidden, &spread_targets(12, VOCAB), &mut rng())
                    .unwrap()
                    .into_tensor();
                loss.backward();
                assert_eq!(hidden.grad().kind(), kind);
                for (name, variable) in made.store.variables() {
                    assert_eq!(variable.grad().kind(), kind, "{name}");
                    assert_eq!(variable.grad().isfinite().all().int64_value(&[]), 1, "{name} {kind:?}");
                }
                loss
            };
            let truth = run(Kind::Double).double_value(&[]);
            for kind in [Kind::Double, Kind::Float, Kind::BFloat16] {
                let loss = run(kind);
                assert!(
                    right_in_kind(&loss, kind, truth),
                    "{:?} {kind:?}: {loss:?}, f64 {truth}",
                    config.tree
                );
                let other = if kind == Kind::Float { Kind::Double } else { Kind::Float };
                assert!(!right_in_kind(&loss.to_kind(other), kind, truth), "another kind passes the check");
            }
        }
    }
}

fn rows_with_gradient(weight: &Tensor) -> i64 {
    weight
        .grad()
        .abs()
        .sum_dim_intlist([-1_i64].as_slice(), false, Kind::Double)
        .gt(0.0)
        .sum(Kind::Int64)
        .int64_value(&[])
}

/// Row 20: methods that promise to save work and score all words behind the scenes.
#[test]
fn a20_20_a_loss_touches_the_paths_of_its_targets_and_no_more() {
    let (rows, vocab_size) = (4, 1000);
    let targets = spread_targets(rows, vocab_size);
    for tree in [TreeKind::Huffman, TreeKind::Balanced] {
        let config = HierarchicalConfig { tree, ..HierarchicalConfig::default() };
        let counts = common::counts(vocab_size);
        let shape = match tree {
            TreeKind::Huffman => CodeTree::huffman(&counts),
            _ => CodeTree::balanced(vocab_size).unwrap(),
        };
        let ids = Vec::<i64>::try_from(&targets).unwrap();
        let steps: i64 = ids.iter().map(|&id| i64::from(shape.lengths()[id as usize])).sum();
        let touched = |dense: bool| {
            let mut made = make(Kind::Double, vocab_size, HIDDEN, &config);
            let hidden = uniform(&mut made.rng, &[rows, HIDDEN], 1.0);
            if dense {
                let all = made.layer.log_probs(&hidden).unwrap().into_tensor();
                all.sum(Kind::Double).backward();
            } else {
                made.layer.loss_with(&hidden, &targets, &mut rng()).unwrap().backward().unwrap();
            }
            rows_with_gradient(&made.store.variables()["weight"])
        };
        assert!((1..=steps).contains(&touched(false)), "{tree:?}: more rows than the paths have steps");
        assert!(touched(true) > steps, "{tree:?}: scoring all words passes the check");

        let cost = make(Kind::Double, vocab_size, HIDDEN, &config).layer.cost(rows as u64);
        let expected = 2.0 * rows as f64 * shape.mean_length(Some(&counts)) * HIDDEN as f64;
        assert!((cost.eval.flops - expected).abs() < 1e-9 * expected);
        assert!((cost.train.flops - 3.0 * expected).abs() < 1e-9 * expected);
        assert!(
            cost.train.flops < 6.0 * (rows * vocab_size * HIDDEN) as f64 / 50.0,
            "not far from a full softmax"
        );
        assert_eq!(cost.parameters, ((vocab_size - 1) * (HIDDEN + 1)) as u64);
        // Label smoothing visits every node with every row, and says so.
        let loss = LossOptions { label_smoothing: 0.1, ..LossOptions::default() };
        let smoothed = make(Kind::Double, vocab_size, HIDDEN, &HierarchicalConfig { loss, ..config });
        let more = smoothed.layer.cost(rows as u64).train.flops - cost.train.flops;
        assert_eq!(more, 6.0 * (rows * (vocab_size - 1) * HIDDEN) as f64);
    }
}

/// Row 20 for two levels: only words of the targets' classes.
#[test]
fn a20_20_two_level_loss_touches_only_its_targets_classes() {
    let config = HierarchicalConfig {
        tree: TreeKind::TwoLevel,
        classes: Some(20),
        bins: Some(Bins::Size),
        ..HierarchicalConfig::default()
    };
    let touched = |targets: &[i64]| {
        let mut made = make(Kind::Double, VOCAB, HIDDEN, &config);
        let hidden = uniform(&mut made.rng, &[targets.len() as i64, HIDDEN], 1.0);
        made.layer.loss_with(&hidden, &Tensor::from_slice(targets), &mut rng()).unwrap().backward().unwrap();
        rows_with_gradient(&made.store.variables()["weight"])
    };
    assert_eq!(touched(&[3, 5, 3]), 10, "one class of ten words");
    assert_eq!(touched(&[3, 195]), 20, "two classes");
}
