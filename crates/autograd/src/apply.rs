//! Applying a function: forward in Rust, then a node in the graph.

use tch::Tensor;

use crate::error::contained;
use crate::ffi::{GradModeOff, finish};
use crate::{AutogradError, ForwardContext, Function};

/// Applies a function to its inputs (`None` and undefined tensors are undefined inputs) and returns
/// its outputs.
///
/// The outputs require gradients if gradients are on and an input requires one. Otherwise no node
/// is made: the function is dropped before this returns.
///
/// # Errors
///
/// `forward` failed or panicked, returned an undefined tensor, or declared an output that it did
/// not return.
pub fn apply<F: Function>(mut function: F, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, AutogradError> {
    let inputs: Vec<_> = inputs.iter().map(|input| input.filter(|tensor| tensor.defined())).collect();
    let grad_mode = GradModeOff::new();
    let recording = grad_mode.was_on() && inputs.iter().flatten().any(|input| input.requires_grad());
    let mut context = ForwardContext {
        inputs: &inputs,
        recording,
        saved: Vec::new(),
        n_saved: 0,
        non_differentiable: Vec::new(),
    };
    let mut outputs = contained(|| function.forward(&mut context))
        .map_err(|message| AutogradError::Panicked { function: F::name(), message })?
        .map_err(|source| AutogradError::Forward { function: F::name(), source })?;
    if let Some(output) = outputs.iter().position(|tensor| !tensor.defined()) {
        return Err(AutogradError::UndefinedOutput { function: F::name(), output });
    }
    let mut differentiable = vec![true; outputs.len()];
    for &output in &context.non_differentiable {
        let count = differentiable.len();
        let missing = || AutogradError::NoSuchOutput { function: F::name(), output, count };
        *differentiable.get_mut(output).ok_or_else(missing)? = false;
    }
    finish(recording.then_some(function), &inputs, &mut outputs, &differentiable, &context.saved)?;
    Ok(outputs)
}
