//! The fused and the chunked path at sizes of several blocks and chunks, and the layout of
//! gradients.
#![allow(clippy::unwrap_used)]

mod common;

use common::build_on;
use lexmax_adaptive::AdaptiveConfig;
use lexmax_autograd::sparse::to_dense;
use lexmax_conformance::{Built, dense_gradient, wave};
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, OutputLayer, Reduction};
use tch::{Kind, Tensor};

const VOCAB: i64 = 3000;
const HIDDEN: i64 = 24;
const ROWS: i64 = 700;

fn config(reduction: Reduction, label_smoothing: f64, weighted: bool) -> AdaptiveConfig {
    let weights = || (0..VOCAB).map(|id| 0.5 + (id % 3) as f64).collect();
    let loss = LossOptions {
        ignore_index: Some(7),
        reduction,
        label_smoothing,
        class_weights: weighted.then(weights),
    };
    AdaptiveConfig {
        cutoffs: vec![600, 1400],
        div_value: 3.0,
        tail_bias: true,
        loss,
        ..AdaptiveConfig::default()
    }
}

/// Half of the rows in the shortlist, the others all over the clusters.
fn targets() -> Vec<i64> {
    (0..ROWS).map(|row| if row % 2 == 0 { row * 31 % 600 } else { 600 + row * 997 % (VOCAB - 600) }).collect()
}

fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    let scale = b.abs().max().double_value(&[]).max(f64::MIN_POSITIVE);
    (a - b).abs().max().double_value(&[]) / scale
}

/// The loss and the gradients of hidden states and parameters, dense, by name.
fn step(built: &mut Built, kind: Kind) -> Vec<(String, Tensor)> {
    let hidden = wave(&[ROWS, HIDDEN], 0.7, 1.0).to_kind(kind).set_requires_grad(true);
    built.store.variables().into_values().for_each(|mut variable| variable.zero_grad());
    let loss = built.loss(&hidden, &targets());
    let upstream = if loss.dim() == 0 { Tensor::from(0.7) } else { wave(&[ROWS], 0.2, 1.0) };
    (&loss * upstream.to_kind(kind)).sum(Kind::Double).backward();
    let mut all: Vec<_> =
        built.variables().into_iter().map(|(name, variable)| (name, dense_gradient(&variable))).collect();
    all.push(("hidden".to_owned(), hidden.grad()));
    all.push(("loss".to_owned(), loss.detach()));
    all
}

#[test]
fn the_paths_agree_over_many_blocks_and_chunks() {
    for (kind, limit) in [(Kind::Double, 1e-11), (Kind::Float, 2e-5)] {
        for reduction in [Reduction::Mean, Reduction::None] {
            for (smoothing, weighted) in [(0.0, false), (0.0, true), (0.1, false), (0.1, true)] {
                let config = config(reduction, smoothing, weighted);
                let on = |path| step(&mut build_on(path, false, &config, [VOCAB, HIDDEN], kind), kind);
                let plain = on(Compute::Reference);
                for path in [Compute::Fastest, Compute::Chunked] {
                    for ((name, found), (_, plain)) in on(path).iter().zip(&plain) {
                        let (error, smoothing) = (relative(found, plain), config.loss.label_smoothing);
                        assert!(error <= limit, "{name}: {error:e}, {kind:?}, {smoothing:?}, {path:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn queries_agree_over_many_blocks() {
    let config = config(Reduction::Mean, 0.0, false);
    let on = |path| build_on(path, false, &config, [VOCAB, HIDDEN], Kind::Float).layer;
    let (fused, plain, chunked) = (on(Compute::Fastest), on(Compute::Reference), on(Compute::Chunked));
    let (hidden, ids) =
        (wave(&[ROWS, HIDDEN], 0.7, 1.0).to_kind(Kind::Float), Tensor::from_slice(&targets()));
    let of_targets = |layer: &dyn OutputLayer| layer.log_prob(&hidden, &ids).unwrap().into_tensor();
    for layer in [&*fused, &*chunked] {
        assert!(relative(&of_targets(layer), &of_targets(&*plain)) <= 1e-5);
    }
    let dense = plain.log_probs(&hidden).unwrap().into_tensor();
    for k in [1, 20, 1000] {
        let b = plain.top_k(&hidden, k).unwrap();
        for layer in [&*fused, &*chunked] {
            let a = layer.top_k(&hidden, k).unwrap();
            assert!(relative(&a.log_probs, &b.log_probs) <= 1e-5, "top {k}");
            assert!(relative(&dense.gather(1, &a.ids, false), &b.log_probs) <= 1e-5, "ids of the top {k}");
        }
    }
    // Draws of one row: as often in each part as it is likely.
    let draws = 20_000;
    let drawn =
        fused.sample(&hidden.narrow(0, 3, 1).repeat([draws, 1]), &mut generator(3, "draws", 0)).unwrap();
    let likely = dense.get(3).exp();
    for (start, end) in [(0, 600), (600, 1400), (1400, VOCAB)] {
        let p = likely.narrow(0, start, end - start).sum(Kind::Double).double_value(&[]);
        let share =
            drawn.ge(start).logical_and(&drawn.lt(end)).sum(Kind::Double).double_value(&[]) / draws as f64;
        assert!(
            (share - p).abs() <= 5.0 * (p * (1.0 - p) / draws as f64).sqrt(),
            "{start}..{end}: {share}, {p}"
        );
    }
}

#[test]
fn the_same_bits_at_every_run() {
    for smoothing in [0.0, 0.1] {
        let config = config(Reduction::Mean, smoothing, true);
        let mut built = build_on(Compute::Fastest, false, &config, [VOCAB, HIDDEN], Kind::Float);
        let first = step(&mut built, Kind::Float);
        for _ in 0..3 {
            assert_eq!(step(&mut built, Kind::Float), first);
        }
    }
}

/// A batch of the shortlist alone, or of the first cluster too.
fn gradients_of(built: &mut Built, targets: &[i64]) -> Vec<(String, Tensor)> {
    let hidden = wave(&[targets.len() as i64, HIDDEN], 0.4, 1.0);
    let loss = built.loss(&hidden, targets);
    let named = built.variables();
    let tensors: Vec<_> = named.iter().map(|(_, tensor)| tensor).collect();
    let gradients = Tensor::f_run_backward(&[loss.sum(Kind::Double)], &tensors, false, false).unwrap();
    named.into_iter().map(|(name, _)| name).zip(gradients).collect()
}

#[test]
fn an_unvisited_cluster_has_a_row_sparse_gradient_without_rows() {
    for reduction in [Reduction::Mean, Reduction::None] {
        let config = config(reduction, 0.0, false);
        let build = |sparse| build_on(Compute::Fastest, sparse, &config, [VOCAB, HIDDEN], Kind::Double);
        let (mut sparse, mut dense) = (build(true), build(false));
        let targets = [5, 700, 1399];
        let expected = gradients_of(&mut dense, &targets);
        let gradients = gradients_of(&mut sparse, &targets);
        for ((name, gradient), (_, expected)) in gradients.iter().zip(&expected) {
            assert!(!expected.is_sparse());
            assert_eq!(gradient.is_sparse(), name.starts_with("tail.1"), "{name}");
            if gradient.is_sparse() {
                assert_eq!((gradient.internal_nnz(), gradient.is_coalesced()), (0, true), "{name}");
                assert_eq!(gradient.sparse_dim(), 1, "{name}");
                // What an optimizer does with it costs nothing and changes nothing.
                let parameter = sparse.store.variables()[name].detach();
                let rows = gradient.indices().select(0, 0);
                assert_eq!(parameter.index_add(0, &rows, &gradient.values()), parameter, "{name}");
            }
            assert_eq!(to_dense(gradient).unwrap(), *expected, "{name}");
        }
    }
}

#[test]
fn layouts_that_change_from_step_to_step_add_up() {
    let batches: [&[i64]; 3] = [&[5, 6], &[5, 700, 2000], &[1400, 8]];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let mut sums = [true, false].map(|sparse| {
            let config = config(Reduction::Sum, 0.0, false);
            let mut built = build_on(Compute::Fastest, sparse, &config, [VOCAB, HIDDEN], Kind::Double);
            for batch in order.map(|which| batches[which]) {
                built.loss(&wave(&[batch.len() as i64, HIDDEN], 0.4, 1.0), batch).backward();
            }
            built.variables().into_iter().map(|(_, variable)| dense_gradient(&variable)).collect::<Vec<_>>()
        });
        let dense = std::mem::take(&mut sums[1]);
        assert_eq!(sums[0], dense, "{order:?}");
    }
}

#[test]
fn a_part_of_the_gradients_and_hidden_states_without_one() {
    for reduction in [Reduction::Sum, Reduction::None] {
        let mut built =
            build_on(Compute::Fastest, false, &config(reduction, 0.0, true), [VOCAB, HIDDEN], Kind::Double);
        let all = gradients_of(&mut built, &[5, 700, 2000]);
        for (index, (name, expected)) in all.iter().enumerate() {
            let hidden = wave(&[3, HIDDEN], 0.4, 1.0).set_requires_grad(true);
            let loss = built.loss(&hidden, &[5, 700, 2000]).sum(Kind::Double);
            let tensor = &built.variables()[index].1;
            let alone = Tensor::f_run_backward(&[loss], &[tensor], false, false).unwrap();
            assert_eq!(alone[0], *expected, "{name}, {reduction:?}");
        }
    }
}
