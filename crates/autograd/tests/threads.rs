//! Backward passes on other threads, and several at once.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{Alive, Calls, leaf, made, square, values};
use lexmax_autograd::apply;
use tch::Tensor;

#[test]
fn a_pass_on_another_thread() {
    let (alive, x) = (Alive::default(), leaf(&[3.0]));
    let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0);
    std::thread::spawn(move || y.backward()).join().unwrap();
    assert_eq!((values(&x.grad()), alive.count()), (vec![6.0], 0));
}

#[test]
fn an_error_on_another_thread() {
    let x = leaf(&[3.0]);
    let function = made(|context| Ok(vec![context.input(0)?.f_exp()?]), |_| panic!("over there"));
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    let error = std::thread::spawn(move || y.f_backward().unwrap_err().to_string()).join().unwrap();
    assert!(error.ends_with("Closures: backward panicked: over there"), "{error}");
}

#[test]
fn passes_over_one_node_wait_for_each_other() {
    let (inside, overlaps, x) = (Calls::default(), Calls::default(), leaf(&[3.0]));
    let seen = overlaps.clone();
    let mut passes = 0;
    let function = made(
        |context| Ok(vec![context.input(0)?.f_mul_scalar(2.0)?]),
        move |context| {
            let before = inside.count();
            inside.add();
            std::thread::sleep(Duration::from_millis(5));
            if inside.count() != before + 1 {
                seen.add();
            }
            passes += 1;
            Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(f64::from(passes))?)])
        },
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    let start = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (x, y, start) = (x.shallow_clone(), y.shallow_clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                let gradients = Tensor::run_backward(&[&y], &[&x], true, false);
                values(&gradients[0])[0]
            })
        })
        .collect();
    let mut found: Vec<f64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    found.sort_by(f64::total_cmp);
    assert_eq!((found, overlaps.count()), (vec![1.0, 2.0, 3.0, 4.0], 0));
}
