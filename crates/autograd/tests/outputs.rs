//! Outputs are tensors of their own, whatever forward returned.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Alive, backward_error, leaf, made, values};
use lexmax_autograd::apply;
use tch::Kind;

#[test]
fn an_input_as_output_is_copied() {
    let x = leaf(&[1.0, 2.0]);
    // Identity forward, negated backward: the reversal of gradients.
    let reversal = || {
        made(
            |context| Ok(vec![context.input(0)?.shallow_clone()]),
            |context| Ok(vec![Some(context.grad_output(0)?.f_neg()?)]),
        )
    };
    let mut y = apply(reversal(), &[Some(&x)]).unwrap().remove(0);
    let _ = y.fill_(7.0);
    assert_eq!(values(&x), [1.0, 2.0]);
    apply(reversal(), &[Some(&x)]).unwrap()[0].sum(Kind::Double).backward();
    assert_eq!(values(&x.grad()), [-1.0, -1.0]);
    // The same without gradients: what an output is does not depend on the mode.
    let mut y = tch::no_grad(|| apply(reversal(), &[Some(&x)]).unwrap().remove(0));
    let _ = y.fill_(7.0);
    assert_eq!(values(&x), [1.0, 2.0]);
}

#[test]
fn a_view_of_an_input_is_copied() {
    let x = leaf(&[1.0, 2.0]);
    let function = made(
        |context| Ok(vec![context.input(0)?.f_narrow(0, 1, 1)?]),
        |context| Ok(vec![Some(context.grad_output(0)?.f_pad([1, 0], "constant", 0.0)?)]),
    );
    let mut y = apply(function, &[Some(&x)]).unwrap().remove(0);
    let _ = y.g_mul_scalar_(3.0);
    y.backward();
    assert_eq!((values(&x), values(&x.grad())), (vec![1.0, 2.0], vec![0.0, 3.0]));
}

#[test]
fn one_tensor_returned_twice_is_two_outputs() {
    let x = leaf(&[2.0]);
    let function = made(
        |context| {
            let y = context.input(0)?.f_square()?;
            Ok(vec![y.shallow_clone(), y])
        },
        |context| {
            let (a, b) = (context.grad_output(0)?, context.grad_output(1)?);
            Ok(vec![Some(a.f_mul_scalar(10.0)?.f_add(b)?)])
        },
    );
    let y = apply(function, &[Some(&x)]).unwrap();
    assert_ne!(y[0].data_ptr(), y[1].data_ptr());
    (&y[0] * 3.0 + &y[1] * 5.0).backward();
    assert_eq!(values(&x.grad()), [35.0]);
}

#[test]
fn a_view_of_a_buffer_is_an_ordinary_output() {
    let x = leaf(&[2.0, 3.0]);
    let function = made(
        |context| Ok(vec![context.input(0)?.f_square()?.f_narrow(0, 1, 1)?]),
        |context| Ok(vec![Some(context.grad_output(0)?.f_pad([1, 0], "constant", 0.0)?)]),
    );
    let mut y = apply(function, &[Some(&x)]).unwrap().remove(0);
    // A change in place extends the history, as for any other output.
    let _ = y.g_mul_scalar_(4.0);
    y.backward();
    assert_eq!((values(&y), values(&x.grad())), (vec![36.0], vec![0.0, 4.0]));
}

#[test]
fn a_function_that_keeps_its_output_does_not_keep_itself() {
    let (alive, x) = (Alive::default(), leaf(&[2.0]));
    let held = alive.clone();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (keep, use_kept) = (kept.clone(), kept);
    let function = made(
        move |context| {
            let _held = &held;
            let y = context.input(0)?.f_exp()?;
            *keep.lock().map_err(|_| "poisoned")? = Some(y.shallow_clone());
            Ok(vec![y])
        },
        move |context| {
            let kept = use_kept.lock().map_err(|_| "poisoned")?;
            let y = kept.as_ref().ok_or("nothing kept")?;
            Ok(vec![Some(y.f_mul(context.grad_output(0)?)?)])
        },
    );
    let y = apply(function, &[Some(&x)]).unwrap();
    assert_eq!(alive.count(), 1);
    drop(y);
    assert_eq!(alive.count(), 0, "the node keeps itself alive");
}

#[test]
fn changes_in_place_of_saved_tensors_are_detected() {
    // Of a saved input.
    let x = leaf(&[2.0]);
    let mut input = &x * 1.0;
    let y = apply(common::square(&Alive::default()), &[Some(&input)]).unwrap().remove(0);
    let _ = tch::no_grad(|| input.fill_(5.0));
    let error = backward_error(&y);
    assert!(
        error.contains("saved tensor 0") && error.contains("modified by an inplace operation"),
        "{error}"
    );
    // Of a saved output.
    let function = made(
        |context| {
            let y = context.input(0)?.f_exp()?;
            context.save(&y);
            Ok(vec![y])
        },
        |context| Ok(vec![Some(context.saved(0)?.f_mul(context.grad_output(0)?)?)]),
    );
    let mut y = apply(function, &[Some(&x)]).unwrap().remove(0);
    let _ = y.g_mul_scalar_(2.0);
    let error = backward_error(&y);
    assert!(error.contains("modified by an inplace operation"), "{error}");
}

#[test]
fn a_saved_output_as_gradient_is_not_shared_with_the_leaf() {
    let x = leaf(&[0.0, 1.0]);
    // Right for an upstream gradient of ones only, which saves a product.
    let function = made(
        |context| {
            let y = context.input(0)?.f_exp()?;
            context.save(&y);
            Ok(vec![y])
        },
        |context| Ok(vec![Some(context.take_saved(0)?)]),
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    y.sum(Kind::Double).backward();
    let before = values(&y);
    assert_eq!(values(&x.grad()), before);
    let _ = x.grad().zero_();
    assert_eq!(values(&y), before, "grad of the leaf and the output are one memory");
}
