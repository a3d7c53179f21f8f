//! Loops on libtorch's threads.

use std::ffi::c_void;

use super::Message;
use crate::AutogradError;

// SAFETY: the signature is that of shim.cpp, where the function states what it expects.
unsafe extern "C" {
    fn lexmax_autograd_parallel(
        count: usize,
        work: *const c_void,
        run: extern "C" fn(work: *const c_void, index: usize),
        message: Message,
    ) -> bool;
}

/// Calls `work` once with each of `0..count` on libtorch's threads; `work` must not panic (it would
/// end the process).
pub(crate) fn parallel(
    count: usize,
    work: &(dyn Fn(usize) + Sync),
) -> std::result::Result<(), AutogradError> {
    extern "C" fn run(work: *const c_void, index: usize) {
        // SAFETY: `work` is the reference below, which outlives the call that it is passed to, and
        // may be shared.
        let work = unsafe { &*work.cast::<&(dyn Fn(usize) + Sync)>() };
        work(index);
    }
    let mut text = String::new();
    // SAFETY: the pointers live until the call returns, which is after the last use of them; a
    // panic in `run` ends the process, since it is `extern "C"`, and so never reaches C++.
    let done = unsafe {
        lexmax_autograd_parallel(count, std::ptr::from_ref(&work).cast(), run, Message::to(&mut text))
    };
    if done { Ok(()) } else { Err(AutogradError::Torch { operation: "parallel loop".into(), message: text }) }
}
