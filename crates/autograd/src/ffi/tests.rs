//! Use counts of tensors across the border: whatever happens, everyone lets go.
#![allow(clippy::unwrap_used)]

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use crate::{BackwardContext, ForwardContext, Function, Result, apply};

// SAFETY: the signature is that of shim.cpp, where the function states what it expects.
unsafe extern "C" {
    fn lexmax_autograd_use_count(tensor: *const C_tensor) -> usize;
}

fn use_count(tensor: &Tensor) -> usize {
    // SAFETY: the tensor lives during the call, which reads its count only.
    unsafe { lexmax_autograd_use_count(tensor.as_ptr()) }
}

/// End of `Product`'s backward pass.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Gradients,
    Error,
    Panic,
}

/// `y = a b`, both saved; also saves `y`.
struct Product(End);

impl Function for Product {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
        let (a, b) = (context.input(0)?, context.input(1)?);
        let y = a.f_mul(b)?;
        for tensor in [a, b, &y] {
            context.save(tensor);
        }
        Ok(vec![y])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        let (a, b, y) = (context.saved(0)?, context.take_saved(1)?, context.saved(2)?);
        let gradient = context.grad_output(0)?;
        match self.0 {
            End::Gradients => Ok(vec![Some(gradient.f_mul(&b)?), Some(gradient.f_mul(&a)?)]),
            End::Error => Err(format!("no gradient of {y:?}").into()),
            End::Panic => panic!("no gradient of {y:?}"),
        }
    }
}

#[test]
fn use_counts_return_to_one() {
    for end in [End::Gradients, End::Error, End::Panic] {
        for keep_graph in [false, true] {
            let a = Tensor::from_slice(&[1.0, 2.0]).set_requires_grad(true);
            let b = Tensor::from_slice(&[3.0, 4.0]).set_requires_grad(true);
            let (a_before, b_before) = (use_count(&a), use_count(&b));
            assert_eq!((a_before, b_before), (1, 1));
            let y = apply(Product(end), &[Some(&a), Some(&b)]).unwrap().remove(0);
            assert_eq!(use_count(&y), 1, "the node must not hold its own output");
            let upstream = Tensor::from_slice(&[1.0, 1.0]);
            let loss = (&y * &upstream).sum(Kind::Double);
            let result = Tensor::f_run_backward(&[&loss], &[&a, &b], keep_graph, false);
            assert_eq!(result.is_ok(), end == End::Gradients);
            if let Ok(gradients) = &result {
                assert_eq!(gradients.iter().map(use_count).collect::<Vec<_>>(), [1, 1]);
            }
            drop((result, loss));
            assert_eq!((use_count(&y), use_count(&upstream)), (1, 1));
            drop(y);
            assert_eq!((use_count(&a), use_count(&b)), (1, 1));
        }
    }
}

#[test]
fn an_input_passed_through_is_held_by_the_graph_only() {
    struct Identity;
    impl Function for Identity {
        fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
            Ok(vec![context.input(0)?.shallow_clone()])
        }
        fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
            Ok(vec![Some(context.grad_output(0)?.shallow_clone())])
        }
    }
    let x = Tensor::from_slice(&[1.0]).set_requires_grad(true);
    let y = apply(Identity, &[Some(&x)]).unwrap().remove(0);
    // The graph's end holds its leaf, as in any graph.
    assert_eq!((use_count(&x), use_count(&y)), (2, 1));
    y.backward();
    assert_eq!(use_count(&y), 1);
    drop(y);
    assert_eq!(use_count(&x), 1);
}
