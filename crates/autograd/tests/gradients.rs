//! Values and gradients: finite differences, inputs and outputs of all sorts, undefined gradients.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Alive, backward_error, leaf, made, square, values};
use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result, apply};
use tch::{Device, Kind, Tensor};

/// `y = log sum exp(x, dim 1) * scale` for `x [N, V]` and a scalar `scale []`, and `p = softmax(x)`
/// beside it.
struct LogSumExp;

impl Function for LogSumExp {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
        let (x, scale) = (context.input(0)?, context.input(1)?);
        let (log_sum, softmax) = (x.f_logsumexp([1i64].as_slice(), false)?, x.f_softmax(1, None)?);
        for tensor in [scale, &log_sum, &softmax] {
            context.save(tensor);
        }
        Ok(vec![log_sum.f_mul(scale)?, softmax])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        let (scale, log_sum, softmax) = (context.saved(0)?, context.saved(1)?, context.saved(2)?);
        let mut grad_x = softmax.f_zeros_like()?;
        let mut grad_scale = None;
        if let Some(grad) = context.optional_grad_output(0) {
            grad_x = grad_x.f_add(&grad.f_mul(&scale)?.f_unsqueeze(1)?.f_mul(&softmax)?)?;
            grad_scale = Some(grad.f_dot(&log_sum)?);
        }
        if let Some(grad) = context.optional_grad_output(1) {
            let mean = grad.f_mul(&softmax)?.f_sum_dim_intlist([1i64].as_slice(), true, None)?;
            grad_x = grad_x.f_add(&grad.f_sub(&mean)?.f_mul(&softmax)?)?;
        }
        Ok(vec![Some(grad_x), grad_scale])
    }
}

fn inputs() -> (Tensor, Tensor) {
    let x = (Tensor::arange(12, (Kind::Double, Device::Cpu)) * 1.7).sin().reshape([3, 4]);
    (x.set_requires_grad(true), Tensor::from(0.8f64).set_requires_grad(true))
}

/// A loss that weighs every output element differently.
fn loss(x: &Tensor, scale: &Tensor, which: &[usize]) -> Tensor {
    let outputs = apply(LogSumExp, &[Some(x), Some(scale)]).unwrap();
    let weighed = |i: &usize| {
        let weights = (Tensor::arange(outputs[*i].numel() as i64, (Kind::Double, Device::Cpu)) + 1.0).cos();
        (outputs[*i].reshape([-1]) * weights).sum(Kind::Double)
    };
    which.iter().map(weighed).reduce(|a, b| a + b).unwrap()
}

/// Central differences of the loss with respect to each element of one input.
fn differences(at: usize, which: &[usize]) -> Vec<f64> {
    let (x, scale) = inputs();
    let inputs = [x.detach(), scale.detach()];
    let h = 1e-5;
    let shifted = |element: i64, by: f64| {
        let mut moved = [inputs[0].copy(), inputs[1].copy()];
        let _ = moved[at].view(-1).get(element).f_add_scalar_(by).unwrap();
        moved[0] = moved[0].copy();
        loss(&moved[0], &moved[1], which).double_value(&[])
    };
    let n = inputs[at].numel() as i64;
    (0..n).map(|element| (shifted(element, h) - shifted(element, -h)) / (2.0 * h)).collect()
}

#[test]
fn gradients_equal_finite_differences() {
    for which in [&[0usize, 1] as &[usize], &[0], &[1]] {
        let (x, scale) = inputs();
        loss(&x, &scale, which).backward();
        for (at, input) in [&x, &scale].into_iter().enumerate() {
            let expected = differences(at, which);
            let found =
                if input.grad().defined() { values(&input.grad()) } else { vec![0.0; expected.len()] };
            let size = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                // Central differences in f64 with h = 1e-5 are good to about h^2 = 1e-10.
                assert!((found - expected).abs() <= 1e-8 * size, "{which:?} {at}: {found} {expected}");
            }
            let touched = expected.iter().any(|d| d.abs() > 1e-3);
            assert_eq!(touched, at == 0 || which.contains(&0), "{which:?} {at}: {expected:?}");
        }
        // Only the log-sum-exp depends on the scale; the gradient of an unused output came in
        // undefined.
        assert_eq!(scale.grad().defined(), which.contains(&0));
    }
}

#[test]
fn many_inputs_and_outputs_in_order() {
    let leaves: Vec<Tensor> = (0..17).map(|i| leaf(&[f64::from(i)])).collect();
    let inputs: Vec<Option<&Tensor>> = leaves.iter().map(Some).collect();
    let function = made(
        |context| {
            let all: Result<Vec<Tensor>> =
                (0..context.n_inputs()).map(|i| Ok(context.input(i)?.f_mul_scalar(i as f64)?)).collect();
            all
        },
        |context| {
            assert_eq!((context.n_inputs(), context.n_outputs(), context.n_saved()), (17, 17, 0));
            (0..17).map(|i| Ok(Some(context.grad_output(i)?.f_mul_scalar(i as f64)?))).collect()
        },
    );
    let outputs = apply(function, &inputs).unwrap();
    let weighed = outputs.iter().enumerate().map(|(j, output)| output * (j as f64 + 0.5));
    weighed.reduce(|a, b| a + b).unwrap().backward();
    for (i, leaf) in leaves.iter().enumerate() {
        assert_eq!(values(&outputs[i]), [(i * i) as f64]);
        assert_eq!(values(&leaf.grad()), [i as f64 * (i as f64 + 0.5)]);
    }
}

#[test]
fn no_inputs_and_no_outputs() {
    let alive = Alive::default();
    let held = alive.clone();
    let constant = made(
        move |_| {
            let _held = &held;
            Ok(vec![Tensor::from(3.0)])
        },
        |_| Ok(Vec::new()),
    );
    let outputs = apply(constant, &[]).unwrap();
    assert!(!outputs[0].requires_grad());
    let x = leaf(&[1.0]);
    assert!(apply(made(|_| Ok(Vec::new()), |_| Ok(vec![None])), &[Some(&x)]).unwrap().is_empty());
    assert_eq!(alive.count(), 0);
}

#[test]
fn undefined_inputs() {
    let (x, empty) = (leaf(&[2.0]), Tensor::new());
    let function = made(
        |context| {
            assert!(context.optional_input(0).is_none() && context.optional_input(2).is_none());
            assert!(context.optional_input(3).is_none() && !context.needs_input_grad(3));
            assert!(!context.needs_input_grad(0) && context.needs_input_grad(1));
            let error = context.input(2).unwrap_err().to_string();
            assert_eq!(error, "input 2 is undefined, expected a tensor (3 inputs are there)");
            let error = context.input(3).unwrap_err().to_string();
            assert_eq!(error, "input 3 is out of range, expected a tensor (3 inputs are there)");
            Ok(vec![context.input(1)?.f_mul_scalar(5.0)?])
        },
        |context| {
            assert!(
                !context.needs_input_grad(0) && context.needs_input_grad(1) && !context.needs_input_grad(2)
            );
            let gradient = context.grad_output(0)?;
            // A gradient for an undefined input goes nowhere.
            Ok(vec![Some(gradient.shallow_clone()), Some(gradient.f_mul_scalar(5.0)?), None])
        },
    );
    let y = apply(function, &[None, Some(&x), Some(&empty)]).unwrap();
    y[0].backward();
    assert_eq!(values(&x.grad()), [5.0]);
}

#[test]
fn a_gradient_returned_undefined_is_none() {
    let (x, w) = (leaf(&[2.0]), leaf(&[3.0]));
    let function = made(
        |context| Ok(vec![context.input(0)?.f_mul(context.input(1)?)?]),
        |context| Ok(vec![None, Some(context.grad_output(0)?.f_mul_scalar(2.0)?)]),
    );
    apply(function, &[Some(&x), Some(&w)]).unwrap()[0].backward();
    assert!(!x.grad().defined());
    assert_eq!(values(&w.grad()), [2.0]);
}

#[test]
fn undefined_gradients_pass_through_without_a_call() {
    let x = leaf(&[2.0]);
    let inner = made(
        |context| Ok(vec![context.input(0)?.f_mul_scalar(2.0)?]),
        |_| panic!("called without any gradient"),
    );
    let y = apply(inner, &[Some(&x)]).unwrap().remove(0);
    let outer = made(|context| Ok(vec![context.input(0)?.f_square()?]), |_| Ok(vec![None]));
    apply(outer, &[Some(&y)]).unwrap()[0].backward();
    assert!(!x.grad().defined());
}

#[test]
fn needs_input_grad_follows_the_inputs_and_the_pass() {
    let function = || {
        made(
            |context| {
                let needs: Vec<bool> = (0..3).map(|i| context.needs_input_grad(i)).collect();
                assert_eq!(needs, [true, false, true]);
                Ok(vec![context.input(0)?.f_add(context.input(1)?)?.f_add(context.input(2)?)?])
            },
            |context| {
                let gradient = context.grad_output(0)?;
                assert!(!context.needs_input_grad(1) && !context.needs_input_grad(3));
                Ok((0..3).map(|i| context.needs_input_grad(i).then(|| gradient * (i + 1) as f64)).collect())
            },
        )
    };
    let (a, b, c) = (leaf(&[1.0]), Tensor::from_slice(&[1.0]), leaf(&[1.0]));
    let y = apply(function(), &[Some(&a), Some(&b), Some(&c)]).unwrap().remove(0);
    // This pass asks for one gradient only.
    let gradients = Tensor::run_backward(&[&y], &[&c], true, false);
    assert_eq!(values(&gradients[0]), [3.0]);
    assert!(!a.grad().defined());
    y.backward();
    assert_eq!((values(&a.grad()), values(&c.grad())), (vec![1.0], vec![3.0]));
    assert!(!b.grad().defined());
}

#[test]
fn outputs_without_gradient() {
    let x = leaf(&[3.0, 1.0, 2.0]);
    let function = made(
        |context| {
            context.set_non_differentiable(2);
            let x = context.input(0)?;
            let (sorted, order) = x.f_sort(0, false)?;
            context.save(&order);
            let largest = x.f_max()?;
            Ok(vec![order, sorted, largest])
        },
        |context| {
            assert!(context.optional_grad_output(0).is_none() && context.optional_grad_output(2).is_none());
            let error = context.grad_output(2).unwrap_err().to_string();
            assert_eq!(error, "grad_output 2 is undefined, expected a tensor (3 grad_outputs are there)");
            let gradient = context.grad_output(1)?;
            Ok(vec![Some(gradient.f_zeros_like()?.f_index_add(0, &context.saved(0)?, gradient)?)])
        },
    );
    let outputs = apply(function, &[Some(&x)]).unwrap();
    let flags: Vec<bool> = outputs.iter().map(Tensor::requires_grad).collect();
    assert_eq!(flags, [false, true, false]);
    assert_eq!(outputs[0].kind(), Kind::Int64);
    (&outputs[1] * Tensor::from_slice(&[10.0, 20.0, 30.0])).sum(Kind::Double).backward();
    assert_eq!(values(&x.grad()), [30.0, 10.0, 20.0]);
}

#[test]
fn only_outputs_without_gradient_keep_no_node() {
    let (alive, x) = (Alive::default(), leaf(&[3.0, 1.0]));
    let held = alive.clone();
    let function = made(
        move |context| {
            let _held = &held;
            Ok(vec![context.input(0)?.f_argmax(None, false)?])
        },
        |_| Ok(vec![None]),
    );
    let outputs = apply(function, &[Some(&x)]).unwrap();
    assert_eq!((alive.count(), values(&outputs[0])), (0, vec![0.0]));
}

#[test]
fn nothing_is_recorded_without_gradients() {
    let (alive, x) = (Alive::default(), leaf(&[3.0]));
    let y = tch::no_grad(|| apply(square(&alive), &[Some(&x)]).unwrap());
    assert_eq!((alive.count(), y[0].requires_grad(), values(&y[0])), (0, false, vec![9.0]));
    let y = apply(square(&alive), &[Some(&x.detach())]).unwrap();
    assert_eq!((alive.count(), y[0].requires_grad()), (0, false));
    tch::no_grad(|| {
        let function = made(
            |context| {
                assert!(!context.needs_input_grad(0));
                let indices = (context.save(context.input(0)?), context.save(context.input(0)?));
                assert_eq!(indices, (0, 1), "indices do not depend on the mode");
                Ok(Vec::new())
            },
            |_| Ok(vec![None]),
        );
        apply(function, &[Some(&x)]).unwrap();
    });
}

#[test]
fn gradients_are_off_inside() {
    let x = leaf(&[3.0]);
    let function = made(
        |context| {
            let y = context.input(0)?.f_square()?;
            assert!(!y.requires_grad());
            // Even a history that forward makes on purpose does not come out.
            tch::with_grad(|| Ok(vec![y, context.input(0)?.f_mul_scalar(2.0)?]))
        },
        |context| {
            let gradient = context.grad_output(0)?;
            let probe = leaf(&[1.0]).f_mul(gradient)?;
            assert!(!probe.requires_grad() && !gradient.requires_grad());
            assert!(context.optional_grad_output(1).is_some());
            Ok(vec![Some(gradient.f_mul_scalar(6.0)?)])
        },
    );
    let outputs = apply(function, &[Some(&x)]).unwrap();
    assert!((&x * 1.0).requires_grad(), "gradients are on again");
    let total = outputs[0].sum(Kind::Double) + outputs[1].sum(Kind::Double);
    // With create_graph gradients are on in the engine, and off inside all the same.
    let gradients = Tensor::run_backward(&[&total], &[&x], true, true);
    assert_eq!(values(&gradients[0]), [6.0]);
    total.backward();
    assert_eq!(values(&x.grad()), [6.0]);
}

#[test]
fn differentiating_twice_is_refused() {
    let (alive, x, v) = (Alive::default(), leaf(&[3.0]), leaf(&[1.0]));
    let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0) * &v;
    let gradient = Tensor::run_backward(&[&y], &[&x], true, true).remove(0);
    assert_eq!(values(&gradient), [6.0]);
    assert!(gradient.requires_grad());
    let expected = "Closures cannot be differentiated twice: lexmax-autograd gives first derivatives only";
    let error = backward_error(&gradient);
    assert!(error.contains(expected), "{error}");
    // Also where one of the leaves is asked for: no silent zero, neither for x nor through the
    // upstream gradient.
    for leaf in [&x, &v] {
        let error = Tensor::f_run_backward(&[&gradient], &[leaf], true, false).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    drop((gradient, y));
    assert_eq!(alive.count(), 0);
}
