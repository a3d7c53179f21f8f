//! Errors and panics, forward and backward.
#![allow(clippy::unwrap_used)]

mod common;

use std::error::Error;
use std::sync::{Arc, Mutex};

use common::{Alive, Calls, backward_error, leaf, made, square, values};
use lexmax_autograd::{AutogradError, BackwardContext, Result, apply};
use tch::{Kind, Tensor};

type Gradients = Result<Vec<Option<Tensor>>>;

/// `y = x` with this backward; the text of the error of its backward pass.
fn fails_with(backward: impl FnMut(&BackwardContext<'_>) -> Gradients + Send + 'static) -> String {
    let (alive, x) = (Alive::default(), leaf(&[1.0, 2.0]));
    let held = alive.clone();
    let function = made(
        move |context| {
            let _held = &held;
            Ok(vec![context.input(0)?.f_mul_scalar(1.0)?])
        },
        backward,
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0).sum(Kind::Double);
    let error = backward_error(&y);
    assert!(!x.grad().defined());
    assert!((&x * 2.0).requires_grad(), "gradients are on again");
    drop(y);
    assert_eq!(alive.count(), 0, "a node outlived its error");
    error
}

#[test]
fn forward_errors() {
    let (alive, x) = (Alive::default(), leaf(&[1.0]));
    let held = alive.clone();
    let function = made(
        move |context| {
            let _held = &held;
            // An exception of C++ that tch turned into an error.
            Ok(vec![context.input(0)?.f_matmul(context.input(0)?)?.f_reshape([7, 7])?])
        },
        |_| Ok(vec![None]),
    );
    let error = apply(function, &[Some(&x)]).unwrap_err();
    assert!(error.to_string().starts_with("Closures: forward failed: "), "{error}");
    assert!(error.to_string().contains("[7, 7]"), "{error}");
    assert!(error.source().unwrap().downcast_ref::<tch::TchError>().is_some());
    assert_eq!(alive.count(), 0);
    assert!((&x * 2.0).requires_grad(), "gradients are on again");
}

#[test]
fn forward_panics() {
    let (alive, x) = (Alive::default(), leaf(&[1.0]));
    let held = alive.clone();
    let function = made(
        move |_| {
            let _held = &held;
            panic!("row {} of none", 7)
        },
        |_| Ok(vec![None]),
    );
    let error = apply(function, &[Some(&x)]).unwrap_err();
    assert!(matches!(&error, AutogradError::Panicked { message, .. } if message == "row 7 of none"));
    assert_eq!(error.to_string(), "Closures: forward panicked: row 7 of none");
    assert_eq!(alive.count(), 0);
    assert!((&x * 2.0).requires_grad(), "gradients are on again");
}

#[test]
fn undefined_and_missing_outputs() {
    let x = leaf(&[1.0]);
    let function = made(|_| Ok(vec![Tensor::from(1.0), Tensor::new()]), |_| Ok(vec![None]));
    let error = apply(function, &[Some(&x)]).unwrap_err().to_string();
    assert_eq!(error, "Closures: output 1 of forward is undefined, expected tensors only");
    let function = made(
        |context| {
            context.set_non_differentiable(1);
            Ok(vec![Tensor::from(1.0)])
        },
        |_| Ok(vec![None]),
    );
    let error = apply(function, &[Some(&x)]).unwrap_err().to_string();
    assert_eq!(error, "Closures: output 1 is declared non-differentiable, but forward returned 1 outputs");
}

#[test]
fn backward_errors() {
    let error = fails_with(|_| Err("the table is empty".into()));
    assert_eq!(error, "Internal torch error: Closures: backward failed: the table is empty");
    let error = fails_with(|context| Ok(vec![Some(context.grad_output(0)?.f_reshape([5, 5])?)]));
    assert!(error.contains("Closures: backward failed: ") && error.contains("[5, 5]"), "{error}");
    let error = fails_with(|context| Ok(vec![Some(context.grad_output(1)?.shallow_clone())]));
    assert!(error.ends_with("grad_output 1 is out of range, expected a tensor (1 grad_outputs are there)"));
    let error = fails_with(|context| Ok(vec![Some(context.saved(0)?)]));
    assert!(error.ends_with("saved tensor 0 is out of range, expected a tensor (0 saved tensors are there)"));
}

#[test]
fn backward_errors_tell_their_causes() {
    let error = fails_with(|_| {
        let cause = std::io::Error::other("disk gone");
        Err(AutogradError::Forward { function: "Inner", source: cause.into() }.into())
    });
    assert_eq!(error, "Internal torch error: Closures: backward failed: Inner: forward failed: disk gone");
}

#[test]
fn backward_panics() {
    let error = fails_with(|_| panic!("bug at {}", 42));
    assert_eq!(error, "Internal torch error: Closures: backward panicked: bug at 42");
    let error = fails_with(|_| std::panic::panic_any(42));
    assert_eq!(error, "Internal torch error: Closures: backward panicked: a value that is no text");
}

#[test]
fn wrong_gradients() {
    for given in [0usize, 2] {
        let error = fails_with(move |_| Ok((0..given).map(|_| None).collect()));
        let expected = format!("backward returned {given} gradients, expected one for each of the 1 inputs");
        assert!(error.ends_with(&expected), "{error}");
    }
    let error = fails_with(|_| Ok(vec![Some(Tensor::from_slice(&[1.0, 2.0, 3.0]))]));
    assert!(error.contains("invalid gradient at index 0") && error.contains("[3]"), "{error}");
}

#[test]
fn a_second_pass_needs_the_graph_kept() {
    let (alive, x) = (Alive::default(), leaf(&[3.0]));
    let y = apply(square(&alive), &[Some(&x)]).unwrap().remove(0);
    for _ in 0..2 {
        let gradients = Tensor::run_backward(&[&y], &[&x], true, false);
        assert_eq!((values(&gradients[0]), alive.count()), (vec![6.0], 1));
    }
    y.backward();
    assert_eq!(alive.count(), 0, "the pass that does not keep the graph drops the function");
    let error = backward_error(&y);
    assert!(error.contains("Closures: backward ran a second time"), "{error}");
}

#[test]
fn a_pass_may_succeed_after_one_that_failed() {
    let (calls, x) = (Calls::default(), leaf(&[3.0]));
    let counted = calls.clone();
    let function = made(
        |context| Ok(vec![context.input(0)?.f_mul_scalar(2.0)?]),
        move |context| {
            counted.add();
            if counted.count() == 1 {
                return Err("not yet".into());
            }
            Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(2.0)?)])
        },
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    assert!(backward_error(&y).ends_with("not yet"));
    y.backward();
    assert_eq!((values(&x.grad()), calls.count()), (vec![2.0], 2));
}

#[test]
fn a_pass_from_inside_itself_is_refused() {
    let x = leaf(&[3.0]);
    let own = Arc::new(Mutex::new(None::<Tensor>));
    let inside = own.clone();
    let function = made(
        |context| Ok(vec![context.input(0)?.f_mul_scalar(2.0)?]),
        move |context| {
            let own = inside.lock().map_err(|_| "poisoned")?.take().ok_or("nothing there")?;
            let error =
                own.f_backward().map(|()| "it ran").map_or_else(|error| error.to_string(), str::to_owned);
            assert!(error.contains("called from inside this function's own backward"), "{error}");
            Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(2.0)?)])
        },
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    *own.lock().unwrap() = Some(y.shallow_clone());
    y.backward();
    assert_eq!(values(&x.grad()), [2.0]);
}

/// An error whose parts panic.
#[derive(Debug)]
struct Unspeakable {
    text: bool,
    cause: bool,
    _drop: Option<Bomb>,
}

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert!(!self.text, "no words");
        f.write_str("words")
    }
}

impl Error for Unspeakable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        assert!(!self.cause, "no cause");
        None
    }
}

#[test]
fn panics_of_an_error_itself_stay_in_rust() {
    let error = |text, cause, bomb: bool| {
        fails_with(move |_| Err(Unspeakable { text, cause, _drop: bomb.then(|| Bomb) }.into()))
    };
    let panicked = "Internal torch error: Closures: backward failed with an error whose text panicked: ";
    for bomb in [false, true] {
        assert_eq!(error(true, false, bomb), format!("{panicked}no words"));
        assert_eq!(error(false, true, bomb), format!("{panicked}no cause"));
        assert_eq!(error(false, false, bomb), "Internal torch error: Closures: backward failed: words");
    }
}

#[test]
fn panics_of_a_payload_stay_where_they_are() {
    let error = fails_with(|_| std::panic::panic_any(Bomb));
    assert_eq!(error, "Internal torch error: Closures: backward panicked: a value that is no text");
    let function = made(|_| std::panic::panic_any(Bomb), |_| Ok(vec![None]));
    let error = apply(function, &[Some(&leaf(&[1.0]))]).unwrap_err().to_string();
    assert_eq!(error, "Closures: forward panicked: a value that is no text");
}

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[test]
fn a_panic_in_drop_stays_in_rust() {
    let x = leaf(&[3.0]);
    let bomb = Bomb;
    let function = made(
        move |context| {
            let _held = &bomb;
            Ok(vec![context.input(0)?.f_mul_scalar(2.0)?])
        },
        |context| Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(2.0)?)]),
    );
    let y = apply(function, &[Some(&x)]).unwrap().remove(0);
    y.backward();
    assert_eq!(values(&x.grad()), [2.0]);
}

/// Panics when it is dropped, with a payload that does so too.
struct DoubleBomb;

impl Drop for DoubleBomb {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb);
    }
}

#[test]
fn a_panic_in_drop_whose_payload_panics_stays_in_rust() {
    let (x, bomb) = (leaf(&[3.0]), DoubleBomb);
    let function = made(
        move |context| {
            let _held = &bomb;
            Ok(vec![context.input(0)?.f_mul_scalar(2.0)?])
        },
        |context| Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(2.0)?)]),
    );
    apply(function, &[Some(&x)]).unwrap()[0].backward();
    assert_eq!(values(&x.grad()), [2.0]);
}
