//! Row-sparse gradients: which rows they have, that they are the dense ones, and that the same bits
//! come out of every run.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Fixture, counts, make_in};
use lexmax_conformance::{dense_gradient, uniform};
use lexmax_hierarchical::tree::CodeTree;
use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind};
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};
use tch::{Kind, Tensor};

const VOCAB: i64 = 300;
const HIDDEN: i64 = 7;
const TARGETS: [i64; 6] = [0, 4, 4, 250, 17, 299];

fn config(tree: TreeKind, loss: LossOptions) -> HierarchicalConfig {
    let two_level = tree == TreeKind::TwoLevel;
    HierarchicalConfig {
        tree,
        classes: two_level.then_some(30),
        bins: two_level.then_some(Bins::Size),
        loss,
        ..HierarchicalConfig::default()
    }
}

const TREES: [TreeKind; 3] = [TreeKind::Huffman, TreeKind::Balanced, TreeKind::TwoLevel];

/// A layer after the backward pass of one batch, with the loss and the gradient of the hidden
/// states.
fn after_a_batch(
    config: &HierarchicalConfig,
    kind: Kind,
    compute: Compute,
    sparse: bool,
) -> (Fixture, Tensor, Tensor) {
    let mut made = make_in(kind, VOCAB, HIDDEN, config, compute, sparse);
    let hidden = uniform(&mut made.rng, &[6, HIDDEN], 1.0).to_kind(kind).set_requires_grad(true);
    let targets = Tensor::from_slice(&TARGETS);
    let loss =
        made.layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap().into_tensor();
    loss.sum(None::<Kind>).backward();
    (made, loss.detach(), hidden.grad())
}

/// The rows of `weight` and `bias` that the batch may touch.
fn touched(tree: TreeKind) -> Vec<i64> {
    let code = match tree {
        TreeKind::Huffman => CodeTree::huffman(&counts(VOCAB)),
        TreeKind::Balanced => CodeTree::balanced(VOCAB).unwrap(),
        TreeKind::TwoLevel => {
            // Thirty classes of ten words.
            let classes: BTreeSet<i64> = TARGETS.iter().map(|target| target / 10).collect();
            return classes.into_iter().flat_map(|class| 10 * class..10 * class + 10).collect();
        }
    };
    let steps = TARGETS.iter().flat_map(|target| code.path(*target as usize));
    steps.map(|step| step.node).collect::<BTreeSet<i64>>().into_iter().collect()
}

#[test]
fn gradients_have_the_rows_of_the_batch_and_no_others() {
    for tree in TREES {
        for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
            let loss = LossOptions { reduction, ..LossOptions::default() };
            let (made, ..) = after_a_batch(&config(tree, loss), Kind::Float, Compute::Fastest, true);
            for (name, variable) in made.store.variables() {
                let gradient = variable.grad();
                if name.starts_with("class_") {
                    assert!(!gradient.is_sparse(), "{tree:?} {name}: every row reads every class");
                    continue;
                }
                assert!(gradient.is_sparse(), "{tree:?} {name} {reduction:?}");
                assert_eq!(gradient.size(), variable.size());
                // As they lie there, rising and each once, though a leaf's gradient is not marked
                // so: nothing is left to coalesce.
                let rows = Vec::<i64>::try_from(gradient.internal_indices().select(0, 0)).unwrap();
                assert_eq!(rows, touched(tree), "{tree:?} {name} {reduction:?}");
                assert!((rows.len() as i64) < VOCAB / 3, "{tree:?}: nearly all rows");
            }
        }
    }
}

#[test]
fn layouts_and_paths_agree() {
    let smoothed = LossOptions { label_smoothing: 0.1, ..LossOptions::default() };
    for tree in TREES {
        for loss in [LossOptions::default(), smoothed.clone()] {
            let config = config(tree, loss);
            let (reference, exact, d_exact) = after_a_batch(&config, Kind::Double, Compute::Reference, true);
            for sparse in [false, true] {
                let (made, loss, d_hidden) = after_a_batch(&config, Kind::Double, Compute::Fastest, sparse);
                let close = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-12;
                assert!(close(&loss, &exact) && close(&d_hidden, &d_exact), "{tree:?}");
                let expected = reference.store.variables();
                for (name, variable) in made.store.variables() {
                    assert!(!expected[&name].grad().is_sparse(), "the reference path is dense");
                    let gradient = dense_gradient(&variable);
                    assert!(close(&gradient, &expected[&name].grad()), "{tree:?} {name} {sparse}");
                }
            }
        }
    }
}

#[test]
fn gradients_of_two_batches_add_up_and_a_kept_graph_repeats() {
    for tree in TREES {
        let mut made = make_in(
            Kind::Double,
            VOCAB,
            HIDDEN,
            &config(tree, LossOptions::default()),
            Compute::Fastest,
            true,
        );
        let hidden = uniform(&mut made.rng, &[6, HIDDEN], 1.0);
        let targets = Tensor::from_slice(&TARGETS);
        let loss = || {
            made.layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap().into_tensor()
                * 3.0
        };
        loss().backward();
        let weight = &made.store.variables()["weight"];
        let once = dense_gradient(weight);
        loss().backward();
        assert!(weight.grad().is_sparse());
        let close =
            |times: f64| (dense_gradient(weight) - &once * times).abs().max().double_value(&[]) < 1e-12;
        assert!(close(2.0), "{tree:?}: two batches");
        let kept = loss();
        for _ in 0..2 {
            Tensor::run_backward(&[&kept], &[weight], true, false);
        }
        kept.backward();
        assert!(close(3.0), "{tree:?}: a graph that two passes kept");
    }
}

#[test]
fn frozen_parameters_get_no_gradient_and_change_no_other() {
    for tree in TREES {
        let config = config(tree, LossOptions::default());
        let (made, ..) = after_a_batch(&config, Kind::Double, Compute::Fastest, true);
        let expected = made.store.variables();
        let mut frozen = make_in(Kind::Double, VOCAB, HIDDEN, &config, Compute::Fastest, true);
        let hidden = uniform(&mut frozen.rng, &[6, HIDDEN], 1.0);
        let _ = frozen.store.variables()["weight"].set_requires_grad(false);
        let targets = Tensor::from_slice(&TARGETS);
        frozen
            .layer
            .loss_with(&hidden, &targets, &mut generator(1, "negatives", 0))
            .unwrap()
            .backward()
            .unwrap();
        for (name, variable) in frozen.store.variables() {
            if name == "weight" {
                assert!(!variable.grad().defined());
            } else {
                assert_eq!(dense_gradient(&variable), dense_gradient(&expected[&name]), "{tree:?} {name}");
            }
        }
    }
}

#[test]
fn run_repeats_its_bits_and_thread_count_changes_rounding_only() {
    for tree in TREES {
        let run = |threads: i32| {
            tch::set_num_threads(threads);
            let loss = LossOptions::default();
            let mut made = make_in(Kind::Float, 2000, 96, &config(tree, loss), Compute::Fastest, true);
            let hidden = uniform(&mut made.rng, &[900, 96], 1.0).to_kind(Kind::Float).set_requires_grad(true);
            let targets = Tensor::from_slice(
                &(0..900).map(|row| row * row * 7 % 2000 / (1 + row % 9)).collect::<Vec<i64>>(),
            );
            let loss = made.layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap();
            loss.backward().unwrap();
            (hidden.grad(), dense_gradient(&made.store.variables()["weight"]))
        };
        let (one, two, again) = (run(1), run(2), run(2));
        assert!(two.0 == again.0 && two.1 == again.1, "{tree:?}: bits");
        let off = |a: &Tensor, b: &Tensor| ((a - b).abs().max() / b.abs().max()).double_value(&[]);
        assert!(off(&one.0, &two.0) < 1e-5 && off(&one.1, &two.1) < 1e-5, "{tree:?}: rounding");
    }
    tch::set_num_threads(1);
}
