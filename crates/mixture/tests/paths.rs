//! The fused and the chunked path at sizes of many tiles, and what it must not change: partial
//! passes, and a top-k made in parts.
#![allow(clippy::unwrap_used)]

mod common;

use common::Head;
use lexmax_conformance::numbers::floats;
use lexmax_conformance::{Built, wave};
use lexmax_mixture::MixtureConfig;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};
use tch::{Kind, Tensor};

fn head(loss: &LossOptions) -> Head {
    let loss = loss.clone();
    Head(MixtureConfig { components: 5, latent_size: Some(20), loss, ..MixtureConfig::default() })
}

/// Loss and gradients of hidden states and all variables, for a given weight on each row's loss.
fn step(built: &mut Built, hidden: &Tensor, targets: &[i64]) -> (Tensor, Vec<Tensor>) {
    let loss = built.loss(hidden, targets);
    let total = match loss.dim() {
        0 => &loss * 1.5,
        _ => (&loss * wave(&loss.size(), 2.0, 1.0).to_kind(loss.kind())).sum(None::<Kind>),
    };
    let variables = built.variables();
    let mut inputs = vec![hidden];
    inputs.extend(variables.iter().map(|(_, variable)| variable));
    (loss.detach(), Tensor::run_backward(&[&total], &inputs, false, false))
}

#[test]
fn the_paths_agree_over_many_tiles() {
    let (rows, vocab, size) = (70, 2300, 24);
    let targets: Vec<i64> = (0..rows).map(|row| row * 7919 % vocab).collect();
    let reductions = [Reduction::Mean, Reduction::Sum, Reduction::None];
    for (reduction, smoothing) in
        reductions.iter().flat_map(|reduction| [(*reduction, 0.0), (*reduction, 0.2)])
    {
        let weights = (0..vocab).map(|id| 0.5 + (id % 3) as f64).collect();
        let loss = LossOptions {
            reduction,
            ignore_index: Some(targets[3]),
            class_weights: Some(weights),
            label_smoothing: smoothing,
        };
        let head = head(&loss);
        for kind in [Kind::Double, Kind::Float] {
            let hidden = wave(&[rows, size], 0.7, 1.0).to_kind(kind).set_requires_grad(true);
            let run = |compute| {
                let mut built = head.build_on(compute, vocab, size, kind);
                step(&mut built, &hidden, &targets)
            };
            let (expected, reference) = run(Compute::Reference);
            let allowed = if kind == Kind::Double { 1e-12 } else { 3e-5 };
            for path in [Compute::Fastest, Compute::Chunked] {
                let (loss, gradients) = run(path);
                for (got, exact) in
                    std::iter::once((&loss, &expected)).chain(gradients.iter().zip(&reference))
                {
                    let (error, scale) = ((got - exact).abs().max(), exact.abs().max());
                    assert!(
                        error.double_value(&[]) <= allowed * scale.double_value(&[]),
                        "{path:?} {reduction:?} {smoothing} {kind:?} {:?}: off by {error} of {scale}",
                        exact.size()
                    );
                }
            }
        }
    }
}

/// A pass may ask for fewer gradients than were made, and gets those that it asked for.
#[test]
fn a_partial_pass_gets_the_gradients_that_it_asks_for() {
    let head = head(&LossOptions::default());
    let mut built = head.build(30, 6, Kind::Double);
    let (hidden, targets) = (wave(&[4, 6], 0.7, 1.0).set_requires_grad(true), [0_i64, 4, 11, 29]);
    let (_, all) = step(&mut built, &hidden, &targets);
    for (index, (name, variable)) in built.variables().into_iter().enumerate() {
        let loss = built.loss(&hidden, &targets) * 1.5;
        let alone = Tensor::run_backward(&[&loss], &[&variable], false, false);
        assert_eq!(floats(&alone[0]), floats(&all[index + 1]), "{name}");
    }
}

/// Two passes over one graph give the same, though the gradients were made once.
#[test]
fn a_kept_graph_gives_the_same_gradients_again() {
    let head = head(&LossOptions::default());
    let mut built = head.build(30, 6, Kind::Double);
    let hidden = wave(&[4, 6], 0.7, 1.0).set_requires_grad(true);
    let loss = built.loss(&hidden, &[0, 4, 11, 29]) * 2.0;
    let weight = built.store.variables()["weight"].shallow_clone();
    let pass = |keep| floats(&Tensor::run_backward(&[&loss], &[&weight], keep, false)[0]);
    let (first, second) = (pass(true), pass(false));
    assert_eq!(first, second);
}

/// A flat mixture, whose bounds decide nothing, and one whose components agree, where they decide
/// all.
#[test]
fn the_top_k_of_many_rows_is_that_of_each() {
    // Rows of so many classes that they do not fit the memory for dense log-probabilities together.
    let (rows, vocab, size, k) = (60, 20_000, 4, 3);
    for (components, scale, kind) in
        [(2, 1.5, Kind::Double), (3, 60.0, Kind::Double), (3, 60.0, Kind::Float), (1, 1.5, Kind::Double)]
    {
        let config = MixtureConfig { components, ..MixtureConfig::default() };
        let built = Head(config).build(vocab, size, kind);
        let mut weight = built.store.variables()["weight"].shallow_clone();
        tch::no_grad(|| weight.f_mul_scalar_(scale).map(drop)).unwrap();
        let hidden = wave(&[rows, size], 0.9, 1.5).to_kind(kind);
        let top = built.layer.top_k(&hidden, k).unwrap();
        let all = built.log_probs(&hidden);
        let (expected, _) = all.topk(k, -1, true, true);
        let allowed = if kind == Kind::Double { 1e-10 } else { 1e-4 };
        let off = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(off(&top.log_probs, &expected) < allowed, "{components} x {scale}");
        // By value: where two classes are as good as equal, either may come first.
        assert!(off(&all.gather(1, &top.ids, false), &expected) < allowed, "{components} x {scale}");
        assert_eq!(built.layer.top_k(&hidden.narrow(0, 0, 0), k).unwrap().ids.size(), [0, k]);
        for bad in [0, vocab + 1] {
            let error = built.layer.top_k(&hidden, bad).unwrap_err().to_string();
            assert!(error.contains("mos.top_k") && error.contains(&format!("k is {bad}")), "{error}");
        }
    }
}
