//! The border to the C++ shim.

mod device;
mod node;
mod parallel;
mod tensor;

use std::ffi::{c_char, c_void};

pub(crate) use device::free_memory;
pub(crate) use node::{Call, GradModeOff, finish};
pub(crate) use parallel::parallel;
pub(crate) use tensor::{bump_version, is_strided, numbers};

/// Destination of the shim's errors.
#[repr(C)]
struct Message {
    text: *mut c_void,
    write: extern "C" fn(text: *mut c_void, bytes: *const c_char, length: usize),
}

impl Message {
    /// Appends to the string; the shim must not write after the string is gone.
    fn to(text: &mut String) -> Self {
        extern "C" fn write(text: *mut c_void, bytes: *const c_char, length: usize) {
            // SAFETY: `text` is the string of `to`, which outlives the one call that the message is
            // passed to, and `bytes` are `length` bytes that nobody changes meanwhile.
            let (text, bytes) = unsafe {
                (&mut *text.cast::<String>(), std::slice::from_raw_parts(bytes.cast::<u8>(), length))
            };
            text.push_str(&String::from_utf8_lossy(bytes));
        }
        Self { text: std::ptr::from_mut(text).cast(), write }
    }
}

#[cfg(test)]
mod tests;
