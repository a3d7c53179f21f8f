//! Custom differentiable functions for tch, which has none of its own.
//!
//! A function is a type with a `forward` and a `backward`; [`apply`] runs it and puts it into
//! libtorch's graph:
//!
//! ```
//! use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result, apply};
//! use tch::Tensor;
//!
//! /// `y = x^2`, so `dL/dx = 2 x dL/dy`.
//! struct Square;
//!
//! impl Function for Square {
//!     fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
//!         let x = context.input(0)?;
//!         context.save(x);
//!         Ok(vec![x.f_square()?])
//!     }
//!
//!     fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
//!         let gradient = context.saved(0)?.f_mul_scalar(2.0)?.f_mul(context.grad_output(0)?)?;
//!         Ok(vec![Some(gradient)])
//!     }
//! }
//!
//! # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let x = Tensor::f_from_slice(&[1.0f32, -3.0])?.f_set_requires_grad(true)?;
//! let y = &apply(Square, &[Some(&x)])?[0];
//! y.f_sum(tch::Kind::Float)?.f_backward()?;
//! assert_eq!(x.grad(), Tensor::f_from_slice(&[2.0f32, -6.0])?);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! - Any number of inputs and outputs; inputs and gradients may be undefined (`None`); outputs may
//!   be of any dtype, those of integers have no gradient; a gradient may be sparse (COO).
//! - Errors and panics of `forward` are [`AutogradError`]s of [`apply`]; those of `backward` are
//!   `tch::TchError`s of `f_backward`, with the function's name and its message. None crosses into
//!   C++, and no C++ exception into Rust.
//! - tch's `f_run_backward` is not as safe with an output that has no history (one made under
//!   `no_grad`): it hands libtorch a null pointer and the process ends, where `f_backward` returns
//!   an error.
//! - Gradients are off inside both methods. A change in place of a saved tensor is detected as for
//!   libtorch's own functions. Nothing leaks: the function is dropped with its node, and saved
//!   tensors form no cycle with it.
//! - A backward pass may run on any thread; passes over one node wait for each other.
//! - A saved tensor can be [taken](BackwardContext::take_saved): a gradient that `forward` prepared
//!   becomes the `grad` of a leaf without a copy.
//! - First derivatives only. A gradient made with `create_graph` carries a refusal, which fails the
//!   pass that would differentiate it, rather than give a second derivative of zero.
//!
//! [`cpu`] gives tensors as slices, for functions whose arithmetic is plain Rust; [`sparse`] makes
//! row-sparse gradients; [`for_each_index`] runs a loop on libtorch's own threads; [`free_memory`]
//! says how much of it a device has.
//!
//! # Overhead
//!
//! Against libtorch's own `y = 2 x` on a tensor of one element, where nothing but the call counts:
//! 1.7 us more forward (8.5 us in place of 6.8), 4 us more forward and backward (44 us in place of
//! 39), and 0.6 to 1 us forward for each saved tensor. Medians of paired batches of 2000 calls, on
//! two busy cores of an AVX-512 server, libtorch 2.13, the development profile; the quartiles of
//! the second figure reach from 0 to 8 us. Measure again with
//! `cargo run -p lexmax-benches --bin overhead`. The shim adds a compilation of about 20 s of
//! processor time, once.
//!
//! # How it works
//!
//! `forward` is plain Rust with gradients off. If a gradient may be asked for, a shim of C++
//! (`src/shim.cpp`, compiled by the build script against the headers of the libtorch that torch-sys
//! found) then makes a `torch::autograd::Node` that owns the boxed function and the saved tensors,
//! and makes it the history of the outputs. When the engine reaches the node, it calls back into
//! Rust.

mod apply;
mod context;
pub mod cpu;
mod device;
mod error;
mod ffi;
mod function;
mod parallel;
pub mod sparse;

pub use apply::apply;
pub use context::{BackwardContext, ForwardContext};
pub use device::free_memory;
pub use error::{AutogradError, BoxError, Result};
pub use function::Function;
pub use parallel::{for_each_index, threads};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
