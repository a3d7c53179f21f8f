//! The memory of a device.

use super::Message;
use crate::AutogradError;

// SAFETY: the signature is that of shim.cpp, where the function states what it expects.
unsafe extern "C" {
    fn lexmax_autograd_free_memory(index: i8, bytes: *mut usize, message: Message) -> bool;
}

/// Bytes that a CUDA device has free.
pub(crate) fn free_memory(index: i8) -> std::result::Result<usize, AutogradError> {
    let (mut bytes, mut text) = (0, String::new());
    // SAFETY: the place of the number and the text live until the call returns, which is after the
    // last write to them.
    let known = unsafe { lexmax_autograd_free_memory(index, &mut bytes, Message::to(&mut text)) };
    if known {
        Ok(bytes)
    } else {
        Err(AutogradError::Torch { operation: "free_memory".into(), message: text })
    }
}
