//! The chunked path beyond what the conformance suite of the layers sees: many chunks, masked
//! classes, f16, strided inputs, and shapes that do not fit.
#![allow(clippy::unwrap_used)]

use lexmax_output::chunked::ChunkMemory;
use lexmax_output::fused::{Scratch, Terms};
use lexmax_output::{Batch, Linear, LogitTransform, Loss, LossOptions, PathMemory, Reduction, TrainingLoss};
use tch::{Device, Kind, Tensor};

const ROWS: i64 = 29;
const CLASSES: i64 = 130;
const WIDTH: i64 = 7;
/// Temperature and transform of plain logits.
const PLAIN: (f64, LogitTransform) = (1.0, LogitTransform::Identity);

fn wave(shape: &[i64], phase: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.73 + phase).sin().view(shape)
}

/// Hidden states, weight and bias of a dtype, with gradients.
fn inputs(kind: Kind) -> [Tensor; 3] {
    let all = [wave(&[ROWS, WIDTH], 0.1), wave(&[CLASSES, WIDTH], 0.2), wave(&[CLASSES], 0.3)];
    all.map(|tensor| tensor.to_kind(kind).set_requires_grad(true))
}

fn targets() -> Tensor {
    (Tensor::arange(ROWS, (Kind::Int64, Device::Cpu)) * 47).remainder(CLASSES)
}

/// Room for so many rows of f64 logits.
fn room(rows: i64) -> ChunkMemory {
    ChunkMemory::new(usize::try_from(rows * CLASSES * 8).ok())
}

fn loss_of(options: LossOptions, kind: Kind) -> Loss {
    Loss::new("test", options, CLASSES, WIDTH, Device::Cpu, kind).unwrap()
}

/// The loss, and the gradients of the inputs under an upstream that differs from row to row.
fn step(
    loss: &Loss,
    inputs: &[Tensor; 3],
    (temperature, transform): (f64, LogitTransform),
    run: impl Fn(&Batch<'_>, Linear<'_>) -> TrainingLoss,
) -> Vec<Tensor> {
    let [hidden, weight, bias] = inputs;
    let batch = loss.batch("test", hidden, &targets()).unwrap();
    let linear = Linear { temperature, transform, ..Linear::new(&batch.hidden, weight, Some(bias)) };
    let value = run(&batch, linear).into_tensor();
    let upstream = wave(&value.size(), 0.9).to_kind(value.kind());
    let total = (&value * upstream).sum(Kind::Float);
    let mut all = Tensor::f_run_backward(&[total], &[hidden, weight, bias], false, false).unwrap();
    all.push(value.detach());
    all
}

fn apart(one: &Tensor, other: &Tensor) -> f64 {
    let wide = |tensor: &Tensor| tensor.to_kind(Kind::Double);
    let scale = wide(other).abs().max().double_value(&[]).max(1e-3);
    (wide(one) - wide(other)).abs().max().double_value(&[]) / scale
}

fn weights() -> Option<Vec<f64>> {
    Some((0..CLASSES).map(|class| (class % 4) as f64 * 0.5).collect())
}

#[test]
fn chunks_of_any_size_equal_the_kernels_under_every_term() {
    // The tensors are tiny.
    tch::set_num_threads(1);
    let offset = wave(&[CLASSES], 0.7);
    let transforms = [LogitTransform::Identity, LogitTransform::SoftCap(2.0), LogitTransform::Sigsoftmax];
    for (index, transform) in transforms.into_iter().enumerate() {
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
            for (smoothing, gamma) in [(0.0, 0.0), (0.0, 1.5), (0.2, 0.0)] {
                for class_weights in [None, weights()] {
                    let options = LossOptions {
                        reduction,
                        label_smoothing: smoothing,
                        class_weights,
                        ignore_index: Some(94),
                    };
                    let loss = loss_of(options, Kind::Double);
                    let terms = Terms {
                        z_loss: 0.01 * index as f64,
                        focal_gamma: gamma,
                        logit_offset: (index == 1).then_some(&offset),
                        filter: None,
                    };
                    let scratch = Scratch::default();
                    let inputs = inputs(Kind::Double);
                    let logits = (1.3, transform);
                    let expected = step(&loss, &inputs, logits, |batch, linear| {
                        batch.fused(linear, terms, &scratch).unwrap()
                    });
                    for rows in [1, 4, 10, 1000] {
                        let chunked = |batch: &Batch<'_>, linear: Linear<'_>| {
                            batch.chunked(linear, terms, room(rows)).unwrap()
                        };
                        let found = step(&loss, &inputs, logits, chunked);
                        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                            let off = apart(found, expected);
                            assert!(
                                off < 1e-12,
                                "{transform:?} {reduction:?} {terms:?} {rows}: {place} {off:e}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn masked_classes_get_no_gradient_and_no_nan() {
    for reduction in [Reduction::Mean, Reduction::None] {
        let loss = loss_of(LossOptions { reduction, ..LossOptions::default() }, Kind::Float);
        let inputs = inputs(Kind::Float);
        // Every target is below 120.
        let targets = targets().remainder(120);
        tch::no_grad(|| {
            let _ = inputs[2].narrow(0, 120, 10).fill_(f64::NEG_INFINITY);
        });
        let [hidden, weight, bias] = &inputs;
        let batch = loss.batch("test", hidden, &targets).unwrap();
        let linear = Linear::new(&batch.hidden, weight, Some(bias));
        let value = batch.chunked(linear, Terms::default(), room(3)).unwrap().into_tensor();
        let all = Tensor::f_run_backward(&[value.sum(Kind::Float)], &[hidden, weight, bias], false, false);
        let all = all.unwrap();
        for gradient in all.iter().chain([&value]) {
            assert_eq!(gradient.isfinite().all().int64_value(&[]), 1, "{reduction:?}: {gradient}");
        }
        for gradient in &all[1..] {
            let of_masked = gradient.narrow(0, 120, 10).abs().max().double_value(&[]);
            assert_eq!(of_masked, 0.0, "{reduction:?}: {gradient}");
        }
        let dense = linear.log_prob(&targets, &PathMemory::Reference).unwrap().into_tensor();
        let chunked = linear.log_prob(&targets, &PathMemory::Chunked(room(3))).unwrap().into_tensor();
        assert!(apart(&chunked, &dense) < 1e-6);
    }
}

#[test]
fn masked_target_costs_infinity_with_finite_gradients() {
    let terms = [Terms::default(), Terms { focal_gamma: 2.0, ..Terms::default() }];
    for terms in terms {
        let loss = loss_of(LossOptions { reduction: Reduction::Sum, ..LossOptions::default() }, Kind::Float);
        let inputs = inputs(Kind::Float);
        tch::no_grad(|| {
            let _ = inputs[2].narrow(0, 47, 1).fill_(f64::NEG_INFINITY);
        });
        let [hidden, weight, bias] = &inputs;
        let batch = loss.batch("test", hidden, &targets()).unwrap();
        let linear = Linear::new(&batch.hidden, weight, Some(bias));
        let value = batch.chunked(linear, terms, room(3)).unwrap();
        assert_eq!(value.value().unwrap(), f64::INFINITY);
        value.backward().unwrap();
        for tensor in &inputs {
            assert_eq!(tensor.grad().isfinite().all().int64_value(&[]), 1, "{terms:?}");
        }
    }
}

/// A target of weight zero costs nothing, though its probability is zero.
#[test]
fn masked_target_of_weight_zero_costs_nothing() {
    let options = LossOptions { class_weights: weights(), ..LossOptions::default() };
    let loss = loss_of(options, Kind::Float);
    let inputs = inputs(Kind::Float);
    // Class 0 is the target of the first row, and weighs nothing.
    tch::no_grad(|| {
        let _ = inputs[2].narrow(0, 0, 1).fill_(f64::NEG_INFINITY);
    });
    let all = step(&loss, &inputs, PLAIN, |batch, linear| {
        batch.chunked(linear, Terms::default(), room(5)).unwrap()
    });
    for tensor in all {
        assert_eq!(tensor.isfinite().all().int64_value(&[]), 1, "{tensor}");
    }
}

/// In half precision loss and gradients are those of f64 to a few roundings, however many chunks
/// there are.
#[test]
fn half_precision_is_f64_to_a_few_roundings() {
    for (kind, rounding) in [(Kind::BFloat16, 2f64.powi(-8)), (Kind::Half, 2f64.powi(-11))] {
        for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
            let inputs = inputs(kind);
            let exact =
                inputs.each_ref().map(|tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true));
            let options = || LossOptions { reduction, ..LossOptions::default() };
            let scratch = Scratch::default();
            let expected = step(&loss_of(options(), Kind::Double), &exact, PLAIN, |batch, linear| {
                batch.fused(linear, Terms::default(), &scratch).unwrap()
            });
            for rows in [1, 6, 1000] {
                let found = step(&loss_of(options(), kind), &inputs, PLAIN, |batch, linear| {
                    batch.chunked(linear, Terms::default(), room(rows)).unwrap()
                });
                for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let off = apart(found, expected);
                    assert!(off < 6.0 * rounding, "{kind:?} {reduction:?} {rows}: {place} is off by {off:e}");
                }
                assert_eq!(found.last().unwrap().kind(), kind);
            }
        }
    }
}

/// Gradients of a loss that is scaled as it is used: without the scale they would be below what f16
/// resolves.
#[test]
fn gradients_of_a_scaled_loss_in_f16_keep_their_digits() {
    // Unscaled, the gradient of a logit has six bits.
    let (scale, weight) = (2f64.powi(15), 2f64.powi(-18));
    let class_weights = Some(vec![weight; CLASSES as usize]);
    let options = LossOptions { class_weights, reduction: Reduction::Sum, ..LossOptions::default() };
    let gradient = |kind: Kind, options: &LossOptions, scale: f64| {
        let inputs = inputs(Kind::Half).map(|tensor| tensor.detach().to_kind(kind).set_requires_grad(true));
        let loss = loss_of(options.clone(), kind);
        let batch = loss.batch("test", &inputs[0], &targets()).unwrap();
        let linear = Linear::new(&batch.hidden, &inputs[1], Some(&inputs[2]));
        let value = batch.chunked(linear, Terms::default(), room(4)).unwrap().into_tensor();
        (value.to_kind(Kind::Float) * scale).backward();
        inputs[1].grad()
    };
    let plain = LossOptions { class_weights: None, ..options.clone() };
    let exact = gradient(Kind::Double, &plain, scale * weight);
    let off = apart(&gradient(Kind::Half, &options, scale), &exact);
    assert!(off < 6.0 * 2f64.powi(-11), "{off:e}");
}

/// Many small terms of one sign: a sum in bf16 would stand still.
#[test]
fn chunks_in_bf16_are_summed_beyond_its_digits() {
    let rows = 400;
    let half = (Kind::BFloat16, Device::Cpu);
    let hidden = Tensor::full([rows, WIDTH], 0.2, half);
    let weight = Tensor::zeros([CLASSES, WIDTH], half).set_requires_grad(true);
    let bias = Tensor::zeros([CLASSES], half).set_requires_grad(true);
    let loss = loss_of(LossOptions { reduction: Reduction::Sum, ..LossOptions::default() }, Kind::BFloat16);
    let batch = loss.batch("test", &hidden, &Tensor::zeros([rows], (Kind::Int64, Device::Cpu))).unwrap();
    let linear = Linear::new(&batch.hidden, &weight, Some(&bias));
    batch.chunked(linear, Terms::default(), room(1)).unwrap().backward().unwrap();
    let expected = -(1.0 - 1.0 / CLASSES as f64) * rows as f64;
    let of_weight = weight.grad().double_value(&[0, 0]) / hidden.double_value(&[0, 0]);
    let of_bias = bias.grad().double_value(&[0]);
    for found in [of_weight, of_bias] {
        assert!((found / expected - 1.0).abs() < 0.01, "{found}, expected {expected}");
    }
}

#[test]
fn strided_inputs_and_a_part_of_the_gradients() {
    let inputs = inputs(Kind::Double);
    for reduction in [Reduction::Mean, Reduction::None] {
        let loss = loss_of(LossOptions { reduction, ..LossOptions::default() }, Kind::Double);
        let run = |wanted: &[&Tensor], strided: bool| {
            let [hidden, weight, bias] = &inputs;
            let lay_out =
                |tensor: &Tensor| if strided { tensor.tr().contiguous().tr() } else { tensor * 1.0 };
            let (hidden, weight) = (lay_out(hidden), lay_out(weight));
            let batch = loss.batch("test", &hidden, &targets()).unwrap();
            let linear = Linear::new(&batch.hidden, &weight, Some(bias));
            let value = batch.chunked(linear, Terms::default(), room(4)).unwrap().into_tensor();
            Tensor::f_run_backward(&[value.sum(Kind::Double)], wanted, false, false).unwrap()
        };
        let all: Vec<&Tensor> = inputs.iter().collect();
        let expected = run(&all, false);
        for (index, input) in inputs.iter().enumerate() {
            for strided in [false, true] {
                let alone = run(&[input], strided);
                assert!(apart(&alone[0], &expected[index]) < 1e-13, "input {index}, {reduction:?}");
            }
        }
    }
}

#[test]
fn queries_in_chunks_equal_those_of_all_rows() {
    let [hidden, weight, bias] = inputs(Kind::Double);
    let linear = Linear::new(&hidden, &weight, Some(&bias));
    let whole = PathMemory::Chunked(ChunkMemory::default());
    let rng = || lexmax_kernels::seed::generator(1, "draws", 0);
    for rows in [1, 4, 60] {
        let parts = PathMemory::Chunked(room(rows));
        let of = |path: &PathMemory| {
            let top = linear.top_k("test", 5, path).unwrap();
            let sample = linear.sample(&mut rng(), path).unwrap();
            let log_prob = linear.log_prob(&targets(), path).unwrap().into_tensor();
            (top.ids, sample, top.log_probs, log_prob)
        };
        let (found, expected) = (of(&parts), of(&whole));
        assert_eq!((&found.0, &found.1), (&expected.0, &expected.1), "{rows}");
        assert!(apart(&found.2, &expected.2) < 1e-13 && apart(&found.3, &expected.3) < 1e-13, "{rows}");
        let none = hidden.narrow(0, 0, 0);
        assert_eq!(Linear::new(&none, &weight, None).top_k("test", 5, &parts).unwrap().ids.size(), [0, 5]);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let [hidden, weight, _] = inputs(Kind::Float);
    let short = wave(&[CLASSES - 1], 0.3).to_kind(Kind::Float);
    let linear = Linear::new(&hidden, &weight, Some(&short));
    let loss = loss_of(LossOptions::default(), Kind::Float);
    let batch = loss.batch("test", &hidden, &targets()).unwrap();
    let error = batch.chunked(linear, Terms::default(), room(3)).unwrap_err().to_string();
    assert!(error.contains("bias") && error.contains("chunked loss"), "{error}");
    for path in [PathMemory::Chunked(room(3)), PathMemory::Reference] {
        assert!(linear.log_prob(&targets(), &path).unwrap_err().to_string().contains("bias"));
        assert!(linear.top_k("test", 1, &path).unwrap_err().to_string().contains("bias"));
    }
}
