//! Gradients that a forward sweep made together with the loss, on their way through the backward pass.

use lexmax_autograd::BackwardContext;
use tch::Tensor;

/// The gradients that the forward pass saved, times the upstream gradient of the node's one output, a scalar: one entry for each
/// input. `inputs` says of which input each saved gradient is (a pass may ask for fewer than were made). They are scaled in place,
/// and become a leaf's `grad` without a copy, unless the graph is kept.
///
/// # Errors
/// A saved gradient was changed or is missing.
pub fn scale_made(
    context: &BackwardContext<'_>,
    inputs: &[usize],
) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
    let mut gradients: Vec<_> = (0..context.n_inputs()).map(|_| None).collect();
    for (saved, input) in inputs.iter().enumerate().filter(|(_, input)| context.needs_input_grad(**input)) {
        gradients[*input] = Some(take_made(context, saved)?);
    }
    Ok(gradients)
}

/// A gradient that the forward sweep made and saved, times the upstream gradient of the node's one output, a scalar.
///
/// # Errors
/// No such saved tensor, or one that was changed in place meanwhile.
pub fn take_made(context: &BackwardContext<'_>, saved: usize) -> lexmax_autograd::Result<Tensor> {
    let upstream = context.grad_output(0)?.f_double_value(&[])?;
    let mut made = context.take_saved(saved)?;
    Ok(match upstream {
        1.0 => made,
        _ if context.keep_graph() => made.f_mul_scalar(upstream)?,
        _ => made.f_mul_scalar_(upstream)?,
    })
}
