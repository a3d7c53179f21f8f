//! Defects of other packages that concern the adaptive softmax, by their rows in `docs/DEFECTS.md`:
//! each test shows that the layer is free of one and that its check rejects the defect.
#![allow(clippy::unwrap_used)]

mod common;

use common::{build, build_on};
use lexmax_adaptive::{Adaptive, AdaptiveConfig};
use lexmax_conformance::numbers::{close, floats, rows};
use lexmax_conformance::wave;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Reduction};
use tch::{Device, Kind, Tensor, nn};

fn by_rows() -> LossOptions {
    LossOptions { reduction: Reduction::None, ..LossOptions::default() }
}

fn config(cutoffs: &[i64], loss: LossOptions) -> AdaptiveConfig {
    AdaptiveConfig { cutoffs: cutoffs.to_vec(), div_value: 2.0, loss, ..AdaptiveConfig::default() }
}

/// Row 6: the ignored id was compared with targets that were already shifted to their cluster, so
/// that the word `cutoff + ignore_index` lost its loss within the cluster.
#[test]
fn a20_06_ignored_id_is_not_a_shifted_target() {
    let (cutoff, ignored) = (5, 3);
    let loss = LossOptions { ignore_index: Some(ignored), ..by_rows() };
    let mut built = build(&config(&[cutoff, 11], loss), 20, 6, Kind::Double);
    let (hidden, targets) = (wave(&[3, 6], 0.2, 1.0), [cutoff + ignored, ignored, 11 + ignored]);
    let rows = built.loss(&hidden, &targets);
    let exact: Vec<f64> = built.log_prob(&hidden, &targets).iter().map(|log_prob| -log_prob).collect();
    let expected = [exact[0], 0.0, exact[2]];
    assert!(close(&floats(&rows), &expected));
    rows.sum(Kind::Double).backward();
    for index in 0..2 {
        let gradient = built.store.variables()[&format!("tail.{index}.weight")].grad();
        assert!(gradient.get(ignored).abs().max().double_value(&[]) > 1e-3, "cluster {index}");
    }
    // The defect: only the head's part of the loss is left for these words.
    let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
    let cluster_mass = |row: i64, start: i64, end: i64| {
        let words = dense.get(row).narrow(0, start, end - start);
        words.logsumexp([0_i64].as_slice(), false).double_value(&[])
    };
    assert!(!close(&[-cluster_mass(0, 5, 11), 0.0, -cluster_mass(2, 11, 20)], &expected));
}

/// Row 7: losses came in the order of the clusters, not of the rows.
#[test]
fn a20_07_losses_keep_the_order_of_the_rows() {
    let mut built = build(&config(&[5, 11], by_rows()), 20, 6, Kind::Double);
    let (hidden, targets) = (wave(&[6, 6], 0.4, 1.0), [12_i64, 1, 7, 19, 0, 5]);
    let order = [3_i64, 5, 0, 4, 2, 1];
    let permute = |values: &[f64]| order.iter().map(|&row| values[row as usize]).collect::<Vec<_>>();
    let plain = floats(&built.loss(&hidden, &targets));
    let moved_targets = order.map(|row| targets[row as usize]);
    let moved = floats(&built.loss(&hidden.index_select(0, &Tensor::from_slice(&order)), &moved_targets));
    assert!(close(&moved, &permute(&plain)));
    // The defect: the rows of the shortlist first, then those of each cluster.
    let clustered = |targets: &[i64], losses: &[f64]| {
        let mut rows: Vec<usize> = (0..losses.len()).collect();
        rows.sort_by_key(|&row| [5, 11].iter().filter(|&&cutoff| cutoff <= targets[row]).count());
        rows.into_iter().map(|row| losses[row]).collect::<Vec<_>>()
    };
    assert!(!close(&clustered(&moved_targets, &moved), &permute(&clustered(&targets, &plain))));
}

/// Row 8: `log_prob` disagreed with the loss, and its probabilities did not sum to one.
#[test]
fn a20_08_log_prob_agrees_with_the_loss() {
    let mut built = build(&config(&[5, 11], by_rows()), 20, 6, Kind::Double);
    let (hidden, targets) = (wave(&[4, 6], 0.6, 1.0), [0_i64, 4, 8, 17]);
    let negated: Vec<f64> = floats(&built.loss(&hidden, &targets)).iter().map(|loss| -loss).collect();
    let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
    let consistent = |dense: &Tensor| {
        let at_targets = dense.gather(1, &Tensor::from_slice(&targets).unsqueeze(1), false);
        let sums = dense.exp().sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
        close(&floats(&at_targets), &negated) && close(&floats(&sums), &[1.0; 4])
    };
    assert!(consistent(&dense));
    assert!(close(&built.log_prob(&hidden, &targets), &negated));
    // The defect: clusters without the head's probability of the cluster.
    let within = |start: i64, size: i64| dense.narrow(1, start, size).log_softmax(-1, Kind::Double);
    assert!(!consistent(&Tensor::cat(&[dense.narrow(1, 0, 5), within(5, 6), within(11, 9)], 1)));
}

/// Row 9: without tail clusters the parameters of the head were missing from the optimiser.
#[test]
fn a20_09_every_parameter_learns_at_every_edge() {
    let cases: [(&[i64], &[i64]); 4] =
        [(&[], &[0, 9, 19]), (&[1], &[0, 5, 19]), (&[5], &[0, 4, 5, 19]), (&[5, 11], &[0, 5, 7, 11, 19])];
    for (cutoffs, targets) in cases {
        let config = AdaptiveConfig { tail_bias: true, ..config(cutoffs, LossOptions::default()) };
        assert_eq!(build(&config, 20, 6, Kind::Double).idle(targets), Vec::<String>::new(), "{cutoffs:?}");
    }
    // The defect: a parameter that no loss reaches.
    let mut built = build(&config(&[], LossOptions::default()), 20, 6, Kind::Double);
    let _ = built.store.root().zeros("unreached", &[2]);
    assert_eq!(built.idle(&[0, 9]), ["unreached"]);
}

/// Row 9, a batch that misses a cluster or holds ignored rows alone: the gradient is zero, and
/// there is one.
#[test]
fn a20_09_missed_clusters_have_a_gradient_of_zeros() {
    for (path, sparse) in [(Compute::Reference, false), (Compute::Fastest, false), (Compute::Fastest, true)] {
        let loss = LossOptions { ignore_index: Some(0), ..LossOptions::default() };
        let mut built = build_on(path, sparse, &config(&[5, 11], loss), [20, 6], Kind::Double);
        for (targets, missed) in [([3_i64, 12], "tail.0"), ([0, 0], "")] {
            let hidden = wave(&[2, 6], 0.3, 1.0);
            let parameters = built.variables();
            let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| tensor).collect();
            let loss = built.loss(&hidden, &targets);
            let gradients = Tensor::f_run_backward(&[&loss], &tensors, false, false).unwrap();
            for ((name, _), gradient) in parameters.iter().zip(gradients) {
                assert!(gradient.defined(), "{name} has no gradient");
                let dense = lexmax_autograd::sparse::to_dense(&gradient).unwrap();
                let reached = dense.abs().max().double_value(&[]) > 0.0;
                assert_eq!(reached, !name.starts_with(missed), "{name} for targets {targets:?}, {path:?}");
            }
        }
    }
}

/// Row 15: the smoothing was spread over the classes at hand, not over all `V`.
#[test]
fn a20_15_smoothing_is_the_same_for_one_and_many_clusters() {
    let smoothing = 0.2;
    for cutoffs in [vec![], vec![5], vec![5, 11, 16]] {
        let loss = LossOptions { label_smoothing: smoothing, ..by_rows() };
        let mut built = build(&config(&cutoffs, loss), 20, 6, Kind::Double);
        let (hidden, targets) = (wave(&[4, 6], 1.1, 1.0), [2_i64, 7, 13, 19]);
        let dense = rows(built.layer.log_probs(&hidden).unwrap().tensor());
        let smoothed = |row: usize, classes: std::ops::Range<usize>| {
            let spread = dense[row][classes.clone()].iter().sum::<f64>() / classes.len() as f64;
            -(1.0 - smoothing) * dense[row][targets[row] as usize] - smoothing * spread
        };
        let losses = floats(&built.loss(&hidden, &targets));
        let expected: Vec<f64> = (0..4).map(|row| smoothed(row, 0..20)).collect();
        assert!(close(&losses, &expected), "{cutoffs:?}");
        // The defect: over the classes of the target's part.
        let mut ends = vec![0];
        ends.extend(cutoffs.iter().map(|&cutoff| cutoff as usize).chain([20]));
        let local = (0..4).map(|row| {
            let part =
                ends.windows(2).find(|part| (part[0]..part[1]).contains(&(targets[row] as usize))).unwrap();
            smoothed(row, part[0]..part[1])
        });
        assert_eq!(close(&local.collect::<Vec<_>>(), &expected), cutoffs.is_empty());
    }
}

/// Row 16: a large divisor or many clusters gave projections of width zero.
#[test]
fn a20_16_widths_are_never_below_one() {
    let (hidden_size, divisor) = (6_i64, 4.0_f64);
    let config = AdaptiveConfig { div_value: divisor, ..config(&[2, 6, 9, 14], LossOptions::default()) };
    let built = build(&config, 20, hidden_size, Kind::Double);
    let fits = |widths: &[i64]| widths == [1, 1, 1, 1];
    let width = |index: usize| built.store.variables()[&format!("tail.{index}.weight")].size()[1];
    assert!(fits(&(0..4).map(width).collect::<Vec<_>>()));
    // The defect: the quotient alone.
    let quotients = (1..=4).map(|power| (hidden_size as f64 / divisor.powi(power)).floor() as i64);
    assert!(!fits(&quotients.collect::<Vec<_>>()));
}

/// Row 17: half precision met a buffer of another dtype.
#[test]
fn a20_17_every_element_type_trains() {
    let targets = [0_i64, 4, 8, 17, 13];
    let hidden = wave(&[5, 6], 0.9, 1.0);
    let run = |kind: Kind| {
        let mut built = build(&config(&[5, 11], LossOptions::default()), 20, 6, kind);
        let hidden = hidden.copy().to_kind(kind).set_requires_grad(true);
        let loss = built.loss(&hidden, &targets);
        loss.backward();
        assert_eq!((loss.kind(), hidden.grad().kind()), (kind, kind));
        let gradients =
            built.variables().into_iter().map(|(_, variable)| variable.grad().to_kind(Kind::Double));
        (loss.double_value(&[]), gradients.collect::<Vec<_>>())
    };
    let (truth, gradients) = run(Kind::Double);
    for (kind, roundoff) in [(Kind::Float, 2f64.powi(-24)), (Kind::BFloat16, 2f64.powi(-8))] {
        let (loss, rounded) = run(kind);
        assert!((loss - truth).abs() <= 16.0 * roundoff * truth, "{kind:?}: {loss}, not {truth}");
        for (rounded, gradient) in rounded.iter().zip(&gradients) {
            let (error, scale) = ((rounded - gradient).norm(), gradient.norm());
            assert!(error.double_value(&[]) <= 32.0 * roundoff * scale.double_value(&[]), "{kind:?}");
        }
    }
    // The defect: an accumulator of a fixed dtype, which libtorch refuses.
    let accumulator = Tensor::zeros([5], (Kind::Float, Device::Cpu));
    let rows = hidden.to_kind(Kind::BFloat16).select(1, 0);
    let index = Tensor::arange(5, (Kind::Int64, Device::Cpu));
    assert!(accumulator.f_index_add(0, &index, &rows).is_err());
}

/// The widths and names above are those of a layer that can be saved and loaded: names are part of
/// the format.
#[test]
fn parameters_have_their_documented_names_and_shapes() {
    let store = nn::VarStore::new(Device::Cpu);
    let config = AdaptiveConfig { tail_bias: true, ..config(&[5, 11], LossOptions::default()) };
    let layer = Adaptive::new(&BuildContext::new(store.root(), 20, 8, 1), &config).unwrap();
    let mut shapes: Vec<_> =
        store.variables().into_iter().map(|(name, variable)| (name, variable.size())).collect();
    shapes.sort();
    let expected: [(&str, &[i64]); 8] = [
        ("head.bias", &[7]),
        ("head.weight", &[7, 8]),
        ("tail.0.bias", &[6]),
        ("tail.0.projection", &[4, 8]),
        ("tail.0.weight", &[6, 4]),
        ("tail.1.bias", &[9]),
        ("tail.1.projection", &[2, 8]),
        ("tail.1.weight", &[9, 2]),
    ];
    let expected = expected.map(|(name, shape)| (name.to_owned(), shape.to_vec()));
    assert_eq!(shapes, expected);
    let entries: i64 = shapes.iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
    assert_eq!(layer.cost(1).parameters, entries as u64);
    // Parameters of the same shape do not start as copies of each other.
    let variables = store.variables();
    let start = |name: &str| variables[name].view(-1).narrow(0, 0, 8);
    let range = |name: &str| f64::sqrt(variables[name].size()[1] as f64);
    let scaled = |name: &str| start(name) * range(name);
    let apart = (scaled("tail.0.projection") - scaled("tail.1.projection")).abs().max().double_value(&[]);
    assert!(apart > 0.1, "the projections start as copies");
}
