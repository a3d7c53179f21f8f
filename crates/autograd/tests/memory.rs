//! Nothing leaks: functions are dropped, saved tensors freed, prepared gradients not copied.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::{Alive, backward_error, leaf, made, square, values};
use lexmax_autograd::apply;
use tch::{Kind, Tensor};

#[test]
fn nodes_live_as_long_as_something_can_run_them() {
    let (alive, x) = (Alive::default(), leaf(&[3.0]));
    let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0);
    let z = apply(square(&alive), &[Some(&y)]).unwrap().remove(0);
    assert_eq!(alive.count(), 2);
    drop(y);
    assert_eq!(alive.count(), 2, "z still needs the first");
    drop(z);
    assert_eq!(alive.count(), 0);
    // After a pass the functions are gone though the outputs are not.
    let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0);
    let z = apply(square(&alive), &[Some(&y)]).unwrap().remove(0);
    z.backward();
    assert_eq!((alive.count(), values(&x.grad())), (0, vec![108.0]));
}

#[test]
fn many_calls_leave_nothing() {
    let (alive, x) = (Alive::default(), leaf(&[0.5]));
    for round in 0..300 {
        let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0);
        match round % 4 {
            0 => y.backward(),
            1 => drop(Tensor::run_backward(&[&y], &[&x], true, true)),
            2 => drop(y),
            _ => {
                let _ = apply(made(|_| Err("no".into()), |_| Ok(vec![None])), &[Some(&y)]).unwrap_err();
            }
        }
    }
    assert_eq!(alive.count(), 0);
}

#[test]
fn an_input_changed_in_place_by_its_own_result_forms_no_cycle() {
    let (alive, x) = (Alive::default(), leaf(&[3.0]));
    let mut input = &x * 1.0;
    let y = apply(square(&alive), &[Some(&input)]).unwrap().remove(0);
    // Now the history of the input leads to the node that saved it.
    let _ = input.g_mul_(&y);
    drop((input, y));
    assert_eq!(alive.count(), 0);
}

#[test]
fn long_chains_are_freed_without_deep_recursion() {
    let (alive, x) = (Alive::default(), leaf(&[1.0]));
    let mut y = x.shallow_clone();
    for _ in 0..10_000 {
        y = apply(square(&alive), &[Some(&y)]).unwrap().remove(0);
    }
    assert_eq!(alive.count(), 10_000);
    drop(y);
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_taken_gradient_reaches_the_leaf_without_a_copy() {
    let place = Arc::new(Mutex::new(0usize));
    let noted = place.clone();
    let function = || {
        let noted = noted.clone();
        made(
            move |context| {
                let x = context.input(0)?;
                let gradient = x.f_mul_scalar(2.0)?;
                *noted.lock().map_err(|_| "poisoned")? = gradient.data_ptr() as usize;
                context.save(&gradient);
                Ok(vec![x.f_square()?.f_sum(Kind::Double)?])
            },
            |context| {
                let upstream = context.grad_output(0)?;
                let mut gradient = context.take_saved(0)?;
                if context.keep_graph() {
                    return Ok(vec![Some(gradient.f_mul(upstream)?)]);
                }
                let error = context.take_saved(0).unwrap_err().to_string();
                assert_eq!(error, "saved tensor 0: saved tensor 0 was taken already");
                let _ = gradient.f_mul_(upstream)?;
                Ok(vec![Some(gradient)])
            },
        )
    };
    let x = leaf(&[3.0, 4.0]);
    (apply(function(), &[Some(&x)]).unwrap().remove(0) * 10.0).backward();
    assert_eq!(values(&x.grad()), [60.0, 80.0]);
    assert_eq!(x.grad().data_ptr() as usize, *place.lock().unwrap(), "the gradient was copied");
    // With the graph kept the saved gradient survives, pass after pass.
    let x = leaf(&[3.0, 4.0]);
    let y = apply(function(), &[Some(&x)]).unwrap().remove(0) * 10.0;
    for _ in 0..2 {
        assert_eq!(values(&Tensor::run_backward(&[&y], &[&x], true, false)[0]), [60.0, 80.0]);
    }
    y.backward();
    assert_eq!(values(&x.grad()), [60.0, 80.0]);
    assert!(backward_error(&y).contains("second time"));
}
