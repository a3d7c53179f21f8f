//! The fused node beyond what the conformance suite of the layers sees.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::product::ProductLibrary;
use lexmax_output::fused::{MemoryLimit, Scratch, Terms};
use lexmax_output::{Linear, Loss, LossOptions, PathMemory, Reduction};
use tch::{Device, Kind, Tensor};

fn wave(shape: &[i64], phase: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.73 + phase).sin().view(shape)
}

/// A pass may ask for the gradients of some inputs only: each must get its own.
#[test]
fn gradients_of_a_part_of_the_inputs() {
    let inputs = [wave(&[3, 4], 0.1), wave(&[6, 4], 0.2), wave(&[6], 0.3)].map(|x| x.set_requires_grad(true));
    let [hidden, weight, bias] = &inputs;
    let targets = Tensor::from_slice(&[5_i64, 0, 2]);
    for reduction in [Reduction::Mean, Reduction::None] {
        let options = LossOptions { reduction, ..LossOptions::default() };
        let loss = Loss::new("test", options, 6, 4, Device::Cpu, Kind::Double).unwrap();
        let batch = loss.batch("test", hidden, &targets).unwrap();
        let scratch = Scratch::default();
        let run = |wanted: &[&Tensor]| {
            let loss =
                batch.fused(Linear::new(hidden, weight, Some(bias)), Terms::default(), &scratch).unwrap();
            Tensor::f_run_backward(&[loss.tensor().sum(Kind::Double)], wanted, false, false).unwrap()
        };
        let all = run(&[hidden, weight, bias]);
        for (index, input) in inputs.iter().enumerate() {
            assert_eq!(run(&[input]), &all[index..=index], "input {index} alone, {reduction:?}");
        }
    }
}

/// A parameter that changes between the two passes is refused, the bias as well; so are targets
/// that do.
#[test]
fn a_change_between_the_passes_is_refused() {
    let options = LossOptions { reduction: Reduction::None, ..LossOptions::default() };
    let loss = Loss::new("test", options, 6, 4, Device::Cpu, Kind::Double).unwrap();
    for changed in 0..3 {
        let inputs = [wave(&[3, 4], 0.1), wave(&[6, 4], 0.2), wave(&[6], 0.3)];
        let inputs = inputs.map(|x| x.set_requires_grad(true));
        let [hidden, weight, bias] = &inputs;
        let batch = loss.batch("test", hidden, &Tensor::from_slice(&[5_i64, 0, 2])).unwrap();
        let linear = Linear::new(&batch.hidden, weight, Some(bias));
        let rows = batch.fused(linear, Terms::default(), &Scratch::default()).unwrap();
        let _ = tch::no_grad(|| inputs[changed].shallow_clone().g_mul_scalar_(2.0));
        assert!(rows.tensor().sum(Kind::Double).f_backward().is_err(), "input {changed}");
    }
    for bias in [None, Some(wave(&[6], 0.3))] {
        for changed in ["targets", "logit_offset"] {
            let [hidden, weight] =
                [wave(&[3, 4], 0.1), wave(&[6, 4], 0.2)].map(|x| x.set_requires_grad(true));
            let (mut targets, mut offset) = (Tensor::from_slice(&[5_i64, 0, 2]), wave(&[6], 0.4));
            let batch = loss.batch("test", &hidden, &targets).unwrap();
            let linear = Linear::new(&batch.hidden, &weight, bias.as_ref());
            let terms = Terms { logit_offset: Some(&offset), ..Terms::default() };
            let rows = batch.fused(linear, terms, &Scratch::default()).unwrap();
            match changed {
                "targets" => targets.copy_(&Tensor::from_slice(&[1_i64, 1, 1])),
                _ => offset.copy_(&wave(&[6], 0.5)),
            }
            assert!(rows.tensor().sum(Kind::Double).f_backward().is_err(), "{changed}, {bias:?}");
        }
    }
}

/// Shapes that do not fit are an error on the fused path too.
#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (path, targets) = (PathMemory::Fused(Scratch::default()), Tensor::from_slice(&[0_i64, 1, 2, 3]));
    for (hidden, weight, bias, says) in [
        (vec![2, 6], vec![5, 3], None, "hidden"),
        (vec![4], vec![5, 4], None, "hidden"),
        (vec![4, 3], vec![15], None, "weight"),
        (vec![4, 3], vec![], None, "weight"),
        (vec![4, 3], vec![5, 3], Some(vec![4]), "bias"),
    ] {
        let bias = bias.map(|shape| wave(&shape, 0.3));
        let (hidden, weight) = (wave(&hidden, 0.1), wave(&weight, 0.2));
        let linear = Linear::new(&hidden, &weight, bias.as_ref());
        let error = linear.log_prob(&targets, &path).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
        assert!(linear.top_k("test", 1, &path).is_err(), "{says}");
    }
}

/// A lower limit makes shorter chunks, and the same loss and gradients.
#[test]
fn memory_limit_bounds_the_workspace_with_the_same_gradients() {
    let (rows, size, classes) = (64, 16, 40_000);
    let inputs = [wave(&[rows, size], 0.1), wave(&[classes, size], 0.2)].map(|x| x.set_requires_grad(true));
    let [hidden, weight] = &inputs;
    let loss = Loss::new("test", LossOptions::default(), classes, size, Device::Cpu, Kind::Double).unwrap();
    let run = |scratch: &Scratch| {
        let batch =
            loss.batch("test", hidden, &(Tensor::arange(rows, (Kind::Int64, Device::Cpu)) * 600)).unwrap();
        let loss = batch.fused(Linear::new(hidden, weight, None), Terms::default(), scratch).unwrap();
        let gradients = Tensor::f_run_backward(&[loss.tensor()], &[hidden, weight], false, false).unwrap();
        (loss.value().unwrap(), gradients, scratch.with::<f64, _>(|workspace| workspace.bytes()))
    };
    let limit = 8 << 20;
    let (loss_of_much, of_much, much) = run(&Scratch::default());
    let (loss_of_little, of_little, little) =
        run(&Scratch::of(MemoryLimit::Bytes(limit), ProductLibrary::GEMM));
    assert!(little <= limit && much > 2 * limit, "{little} and {much} bytes");
    assert!((loss_of_much - loss_of_little).abs() < 1e-12);
    for (much, little) in of_much.iter().zip(&of_little) {
        assert!(much.allclose(little, 1e-10, 1e-14, false));
    }
}
