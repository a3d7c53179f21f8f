//! The memory of tensors, and the counters of their changes.

use std::ffi::c_void;

use tch::Tensor;
use torch_sys::C_tensor;

use super::Message;
use crate::AutogradError;

// SAFETY: the signatures are those of shim.cpp, where each function states what it expects.
unsafe extern "C" {
    fn lexmax_autograd_is_strided(tensor: *const C_tensor) -> bool;
    fn lexmax_autograd_numbers(
        tensor: *const C_tensor,
        write: bool,
        data: *mut *mut c_void,
        length: *mut usize,
        message: Message,
    ) -> bool;
    fn lexmax_autograd_bump_version(tensor: *const C_tensor, message: Message) -> bool;
}

/// Whether a tensor is defined and strided, on any device.
pub(crate) fn is_strided(tensor: &Tensor) -> bool {
    // SAFETY: the tensor lives during the call, which reads what kind of tensor it is.
    unsafe { lexmax_autograd_is_strided(tensor.as_ptr()) }
}

/// Address and number of the elements of a tensor on the CPU, to be read or, with `write`, changed.
/// The error says what the tensor is where its elements are no slice; their dtype is not looked at.
pub(crate) fn numbers(tensor: &Tensor, write: bool) -> std::result::Result<(*mut c_void, usize), String> {
    let (mut data, mut length, mut text) = (std::ptr::null_mut(), 0, String::new());
    // SAFETY: the tensor lives during the call, and so do the two places that it writes to and the
    // text.
    let found = unsafe {
        lexmax_autograd_numbers(tensor.as_ptr(), write, &mut data, &mut length, Message::to(&mut text))
    };
    if found { Ok((data, length)) } else { Err(text) }
}

/// Counts a change in place of a tensor.
pub(crate) fn bump_version(tensor: &mut Tensor) -> std::result::Result<(), AutogradError> {
    let mut text = String::new();
    // SAFETY: the tensor lives during the call, which adds one to an atomic counter of it.
    let done = unsafe { lexmax_autograd_bump_version(tensor.as_ptr(), Message::to(&mut text)) };
    if done { Ok(()) } else { Err(AutogradError::Torch { operation: "mark_changed".into(), message: text }) }
}
