//! A function made of two closures, shared by the tests.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result};
use tch::{Device, Kind, Tensor};

/// Function whose two passes are closures, so that each test states its own in place.
pub struct Closures<F, B> {
    pub forward: F,
    pub backward: B,
}

impl<F, B> Function for Closures<F, B>
where
    F: FnMut(&mut ForwardContext<'_>) -> Result<Vec<Tensor>> + Send + 'static,
    B: FnMut(&BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> + Send + 'static,
{
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
        (self.forward)(context)
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        (self.backward)(context)
    }

    fn name() -> &'static str {
        "Closures"
    }
}

pub fn made<F, B>(forward: F, backward: B) -> Closures<F, B>
where
    F: FnMut(&mut ForwardContext<'_>) -> Result<Vec<Tensor>> + Send + 'static,
    B: FnMut(&BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> + Send + 'static,
{
    Closures { forward, backward }
}

/// Counts how many copies of it are alive, the first one not included.
#[derive(Clone, Default)]
pub struct Alive(Arc<()>);

impl Alive {
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// Counts calls, from any thread.
#[derive(Clone, Default)]
pub struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// `y = x^2` with `x` saved; holds an [`Alive`] as long as it lives.
pub fn square(alive: &Alive) -> impl Function + use<> {
    let alive = alive.clone();
    made(
        move |context| {
            let _held = &alive;
            let x = context.input(0)?;
            context.save(x);
            Ok(vec![x.f_square()?])
        },
        |context| Ok(vec![Some(context.saved(0)?.f_mul_scalar(2.0)?.f_mul(context.grad_output(0)?)?)]),
    )
}

/// A leaf that requires a gradient.
pub fn leaf(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).set_requires_grad(true)
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).to_device(Device::Cpu).reshape([-1])).unwrap()
}

/// The error text of a backward pass that must fail.
pub fn backward_error(tensor: &Tensor) -> String {
    tensor.f_backward().expect_err("the backward pass succeeded").to_string()
}
