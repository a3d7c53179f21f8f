//! Nodes of the graph that own a Rust function, and the calls of it.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;

use tch::Tensor;
use torch_sys::C_tensor;

use super::Message;
use crate::error::{contained, with_causes};
use crate::{AutogradError, BackwardContext, Function, Result};

/// One run of a node's backward, on the C++ side.
#[repr(C)]
struct RawCall {
    _opaque: [u8; 0],
}

/// A boxed function and what the node does with it.
#[repr(C)]
struct RawFunction {
    object: *mut c_void,
    backward: extern "C" fn(object: *mut c_void, call: *mut RawCall) -> bool,
    drop: extern "C" fn(object: *mut c_void),
    name: *const c_char,
    name_length: usize,
}

// SAFETY: the signatures are those of shim.cpp, where each function states what it expects.
unsafe extern "C" {
    fn lexmax_autograd_finish(
        inputs: *const *const C_tensor,
        n_inputs: usize,
        outputs: *const *mut C_tensor,
        n_outputs: usize,
        differentiable: *const bool,
        saved: *const *const C_tensor,
        n_saved: usize,
        function: *const RawFunction,
        message: Message,
    ) -> bool;
    fn lexmax_autograd_n_grad_outputs(call: *const RawCall) -> usize;
    fn lexmax_autograd_n_grad_inputs(call: *const RawCall) -> usize;
    fn lexmax_autograd_n_saved(call: *const RawCall) -> usize;
    fn lexmax_autograd_keep_graph(call: *const RawCall) -> bool;
    fn lexmax_autograd_grad_output(call: *const RawCall, index: usize) -> *const C_tensor;
    fn lexmax_autograd_needs_input_grad(call: *const RawCall, index: usize) -> bool;
    fn lexmax_autograd_saved(call: *mut RawCall, index: usize, take: bool, message: Message)
    -> *mut C_tensor;
    fn lexmax_autograd_set_grad_input(call: *mut RawCall, index: usize, grad: *const C_tensor);
    fn lexmax_autograd_fail(call: *mut RawCall, bytes: *const c_char, length: usize);
}

/// Gradients are off on this thread while it lives.
pub(crate) struct GradModeOff {
    was_on: bool,
    /// The mode belongs to the thread, so the guard stays on it.
    _thread: PhantomData<*const ()>,
}

impl GradModeOff {
    pub(crate) fn new() -> Self {
        // SAFETY: sets a flag of this thread; any value is allowed at any time.
        let was_on = unsafe { torch_sys::at_grad_set_enabled(0) } != 0;
        Self { was_on, _thread: PhantomData }
    }

    pub(crate) fn was_on(&self) -> bool {
        self.was_on
    }
}

impl Drop for GradModeOff {
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        unsafe { torch_sys::at_grad_set_enabled(self.was_on.into()) };
    }
}

/// Makes `outputs` tensors of their own and, with a function, its node their history. Expects
/// gradients off.
pub(crate) fn finish<F: Function>(
    function: Option<F>,
    inputs: &[Option<&Tensor>],
    outputs: &mut [Tensor],
    differentiable: &[bool],
    saved: &[Tensor],
) -> std::result::Result<(), AutogradError> {
    debug_assert_eq!(outputs.len(), differentiable.len());
    let inputs: Vec<_> =
        inputs.iter().map(|input| input.map_or(std::ptr::null(), |tensor| tensor.as_ptr())).collect();
    let outputs: Vec<_> = outputs.iter_mut().map(Tensor::as_mut_ptr).collect();
    let saved: Vec<_> = saved.iter().map(Tensor::as_ptr).collect();
    let function = function.map(|function| RawFunction {
        object: Box::into_raw(Box::new(function)).cast(),
        backward: backward::<F>,
        drop: drop_function::<F>,
        name: F::name().as_ptr().cast(),
        name_length: F::name().len(),
    });
    let mut text = String::new();
    // SAFETY: all pointers are to live tensors of the caller's slices, null only among the inputs,
    // and the lengths are theirs; `outputs` is borrowed mutably. The shim owns the object of
    // `function` from here on, whether it succeeds or not, calls `backward` and `drop` with that
    // object only, one at a time (a mutex), and `drop` once, last: F is Send, so on which thread
    // does not matter. The name is 'static.
    let done = unsafe {
        lexmax_autograd_finish(
            inputs.as_ptr(),
            inputs.len(),
            outputs.as_ptr(),
            outputs.len(),
            differentiable.as_ptr(),
            saved.as_ptr(),
            saved.len(),
            function.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            Message::to(&mut text),
        )
    };
    if done { Ok(()) } else { Err(AutogradError::Torch { operation: F::name().to_owned(), message: text }) }
}

extern "C" fn drop_function<F: Function>(object: *mut c_void) {
    // A panic in the drop of F must not reach C++; there is nobody to tell, beyond what the panic
    // hook printed.
    let _ = contained(|| {
        // SAFETY: the node drops the box that `finish` made for this F, once.
        drop(unsafe { Box::from_raw(object.cast::<F>()) });
    });
}

extern "C" fn backward<F: Function>(object: *mut c_void, call: *mut RawCall) -> bool {
    let call = Call { raw: call, _call: PhantomData };
    let result = contained(|| {
        // SAFETY: the box that `finish` made for this F; the node's mutex makes this the only
        // reference to it.
        let function = unsafe { &mut *object.cast::<F>() };
        run_backward(function, call)
    });
    let message = match result {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => {
            // The error is the user's: its text and its drop may panic, each on its own.
            let text = contained(|| with_causes(&*error));
            let _ = contained(|| drop(error));
            text.map_or_else(
                |panic| format!("backward failed with an error whose text panicked: {panic}"),
                |text| format!("backward failed: {text}"),
            )
        }
        Err(panic) => format!("backward panicked: {panic}"),
    };
    // SAFETY: the call lives while the callback runs; the shim copies the text.
    unsafe { lexmax_autograd_fail(call.raw, message.as_ptr().cast(), message.len()) };
    false
}

fn run_backward<F: Function>(function: &mut F, call: Call<'_>) -> Result<()> {
    let context = BackwardContext { call, grad_outputs: call.grad_outputs() };
    let gradients = function.backward(&context)?;
    if gradients.len() != call.n_inputs() {
        return Err(AutogradError::GradientCount { given: gradients.len(), expected: call.n_inputs() }.into());
    }
    for (index, gradient) in gradients.iter().enumerate() {
        if let Some(gradient) = gradient {
            // SAFETY: the call lives, the index is below the number of inputs; the shim takes a
            // share of the tensor.
            unsafe { lexmax_autograd_set_grad_input(call.raw, index, gradient.as_ptr()) };
        }
    }
    Ok(())
}

/// One run of a node's backward. The lifetime is that of the callback, within which alone the
/// pointer is good.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    raw: *mut RawCall,
    _call: PhantomData<&'a ()>,
}

impl Call<'_> {
    fn grad_outputs(self) -> Vec<Option<Tensor>> {
        // SAFETY: the call lives while the callback runs; the index is below the number of
        // gradients; `clone_from_ptr` takes a share of a tensor that the call holds.
        unsafe {
            let one = |index| {
                let gradient = lexmax_autograd_grad_output(self.raw, index);
                (!gradient.is_null()).then(|| Tensor::clone_from_ptr(gradient.cast_mut()))
            };
            (0..lexmax_autograd_n_grad_outputs(self.raw)).map(one).collect()
        }
    }

    pub(crate) fn n_inputs(self) -> usize {
        // SAFETY: the call lives while the callback runs.
        unsafe { lexmax_autograd_n_grad_inputs(self.raw) }
    }

    pub(crate) fn n_saved(self) -> usize {
        // SAFETY: the call lives while the callback runs.
        unsafe { lexmax_autograd_n_saved(self.raw) }
    }

    pub(crate) fn keep_graph(self) -> bool {
        // SAFETY: the call lives while the callback runs.
        unsafe { lexmax_autograd_keep_graph(self.raw) }
    }

    /// The index must be below `n_inputs`.
    pub(crate) fn needs_input_grad(self, index: usize) -> bool {
        // SAFETY: the call lives while the callback runs; an index out of range would throw, so
        // callers check it.
        unsafe { lexmax_autograd_needs_input_grad(self.raw, index) }
    }

    pub(crate) fn saved(self, index: usize, take: bool) -> std::result::Result<Tensor, AutogradError> {
        let count = self.n_saved();
        if index >= count {
            return Err(AutogradError::Missing { what: "saved tensor", index, state: "out of range", count });
        }
        let mut text = String::new();
        // SAFETY: the call lives while the callback runs, and the callback is the only one that
        // uses it.
        let tensor = unsafe { lexmax_autograd_saved(self.raw, index, take, Message::to(&mut text)) };
        if tensor.is_null() {
            return Err(AutogradError::Torch { operation: format!("saved tensor {index}"), message: text });
        }
        // SAFETY: the shim made the tensor for us; tch frees it as it frees its own.
        Ok(unsafe { Tensor::from_ptr(tensor) })
    }
}
