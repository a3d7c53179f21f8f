//! Contexts of a function's forward and backward pass: inputs, gradients, and the tensors saved in
//! between.

use tch::Tensor;

use crate::AutogradError;
use crate::ffi::Call;

/// Context of a forward pass.
pub struct ForwardContext<'a> {
    pub(crate) inputs: &'a [Option<&'a Tensor>],
    pub(crate) recording: bool,
    pub(crate) saved: Vec<Tensor>,
    pub(crate) n_saved: usize,
    pub(crate) non_differentiable: Vec<usize>,
}

impl<'a> ForwardContext<'a> {
    /// Number of inputs of `apply`, undefined ones included.
    pub fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// An input that must be there.
    ///
    /// # Errors
    ///
    /// The input is undefined, or there are not as many.
    pub fn input(&self, index: usize) -> Result<&'a Tensor, AutogradError> {
        AutogradError::pick(self.inputs, index, "input").copied()
    }

    /// An input that may be undefined or left out.
    pub fn optional_input(&self, index: usize) -> Option<&'a Tensor> {
        self.inputs.get(index).copied().flatten()
    }

    /// Whether `backward` may be asked for the gradient of an input: gradients are recorded here,
    /// and the input requires one. What only that gradient needs may be left undone otherwise.
    pub fn needs_input_grad(&self, index: usize) -> bool {
        self.recording && self.optional_input(index).is_some_and(Tensor::requires_grad)
    }

    /// Saves a tensor for `backward` and returns its index there: an input, an output, or anything
    /// else.
    ///
    /// libtorch watches it: if it is changed in place before it is used, the backward pass fails.
    /// Tensors that are kept in fields of the function instead are not watched, and an output kept
    /// there is never freed before the node is.
    pub fn save(&mut self, tensor: &Tensor) -> usize {
        // Where nothing is recorded nothing is held, but the indices stay the same.
        if self.recording {
            self.saved.push(tensor.shallow_clone());
        }
        self.n_saved += 1;
        self.n_saved - 1
    }

    /// Declares that an output has no gradient though its dtype could have one. It never requires
    /// one, and `backward` finds its gradient undefined.
    pub fn set_non_differentiable(&mut self, output: usize) {
        self.non_differentiable.push(output);
    }
}

/// The call, as `backward` sees it.
pub struct BackwardContext<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) grad_outputs: Vec<Option<Tensor>>,
}

impl BackwardContext<'_> {
    /// Number of outputs that `forward` returned.
    pub fn n_outputs(&self) -> usize {
        self.grad_outputs.len()
    }

    /// Number of inputs of `apply`, which is the number of gradients expected.
    pub fn n_inputs(&self) -> usize {
        self.call.n_inputs()
    }

    /// The gradient of the loss with respect to an output, where it cannot be undefined: that of a
    /// function's only differentiable output never is. It must not be changed in place.
    ///
    /// # Errors
    ///
    /// The gradient is undefined (the output did not contribute to the loss), or there are not as
    /// many outputs.
    pub fn grad_output(&self, index: usize) -> Result<&Tensor, AutogradError> {
        AutogradError::pick(&self.grad_outputs, index, "grad_output")
    }

    /// The gradient of the loss with respect to an output; `None` stands for zero.
    pub fn optional_grad_output(&self, index: usize) -> Option<&Tensor> {
        self.grad_outputs.get(index)?.as_ref()
    }

    /// Whether this pass asks for the gradient of an input. `None` will do for the others.
    pub fn needs_input_grad(&self, index: usize) -> bool {
        index < self.n_inputs() && self.call.needs_input_grad(index)
    }

    /// Number of tensors that `forward` saved.
    pub fn n_saved(&self) -> usize {
        self.call.n_saved()
    }

    /// A saved tensor, without its history. It must not be changed in place.
    ///
    /// # Errors
    ///
    /// The tensor was changed in place since it was saved, was taken before, or there are not as
    /// many.
    pub fn saved(&self, index: usize) -> Result<Tensor, AutogradError> {
        self.call.saved(index, false)
    }

    /// A saved tensor, forgotten by the node unless the pass [keeps the graph](Self::keep_graph).
    ///
    /// A tensor that nobody else holds, as a gradient that `forward` prepared, may then be changed
    /// in place, and when it is returned it becomes the `grad` of a leaf without a copy. If the
    /// graph is kept it must not be changed.
    ///
    /// # Errors
    ///
    /// Those of [`saved`](Self::saved).
    pub fn take_saved(&self, index: usize) -> Result<Tensor, AutogradError> {
        self.call.saved(index, true)
    }

    /// Whether another pass over the same graph may follow.
    pub fn keep_graph(&self) -> bool {
        self.call.keep_graph()
    }
}
