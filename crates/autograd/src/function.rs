//! The trait of a differentiable function.

use tch::Tensor;

use crate::{BackwardContext, ForwardContext, Result};

/// A function `(input_0, ..., input_{n-1}) -> (output_0, ..., output_{m-1})` over tensors with a
/// derivative of its own.
///
/// One object is one call: [`apply`](crate::apply) takes it, runs `forward`, and gives it to the
/// graph if a gradient may be asked for later. Options of the function are fields of the object; so
/// are values, other than tensors, that `forward` leaves for `backward`.
///
/// The object is dropped as soon as nothing can run `backward` on it any more: at once where no
/// gradient is recorded, after the backward pass that does not keep the graph, or with the last
/// output.
///
/// A pass over CUDA tensors runs on threads of libtorch, hence `Send`. Passes over the same graph
/// at the same time, from several threads, wait for each other, hence `&mut self` without `Sync`.
/// An object whose `backward` panicked is run again if a kept graph is: keep its fields meaningful.
pub trait Function: Send + 'static {
    /// Computes the outputs, any number of them, with gradients off.
    ///
    /// Outputs of integer or boolean dtype have no gradient, nor have those that
    /// [`set_non_differentiable`](ForwardContext::set_non_differentiable) names. An output that
    /// shares memory with an input is copied (a change in place of either would otherwise change
    /// the other behind the graph's back), so returning `input.shallow_clone()` is right but costs
    /// a copy.
    ///
    /// # Errors
    ///
    /// Whatever it returns, and panics too, become [`AutogradError`](crate::AutogradError)s of
    /// `apply`.
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>>;

    /// Computes `d loss / d input_i` for each input from `d loss / d output_j`, with gradients off.
    ///
    /// Returns one entry for each input that `apply` was given, `None` for a gradient that is zero
    /// or that nobody needs. A gradient may be sparse (COO), and a leaf's `grad` is then sparse
    /// too. It has the shape of its input, or one that sums to it by the rules of broadcasting.
    ///
    /// # Errors
    ///
    /// Whatever it returns, and panics too, become the `tch::TchError` of the backward pass, which
    /// stops.
    fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>>;

    /// Names the function in errors; by default the path of the type.
    fn name() -> &'static str
    where
        Self: Sized,
    {
        std::any::type_name::<Self>()
    }
}
