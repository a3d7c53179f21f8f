//! For tests: a device of libtorch beside the CPU, on a machine that has none.
//!
//! Code that runs on a GPU must make its tensors there, move its targets there and read its numbers
//! back. A machine without a GPU never sees the line that forgot to. [`second_device`] gives such a
//! machine a `Device::Cuda(0)` made of host memory: every operation computes what the CPU computes,
//! tensors of both devices in one operation are an error as on a GPU, and
//! `tch::Cuda::device_count()` says 1. It is slow (every operation copies) and knows dense tensors
//! only. Where libtorch is a CUDA build with a GPU, the device is that GPU, and the same tests test
//! the real thing.
//!
//! ```
//! use lexmax_second_device::second_device;
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = second_device()?;
//! let there = Tensor::f_ones([2, 3], (Kind::Float, device))?;
//! assert_eq!(there.device(), Device::Cuda(0));
//! assert_eq!(there.f_sum(Kind::Float)?.f_double_value(&[])?, 6.0);
//!
//! let here = Tensor::f_ones([2, 3], (Kind::Float, Device::Cpu))?;
//! assert!(there.f_add(&here).is_err());
//! # Ok(())
//! # }
//! ```

use std::ffi::{CStr, c_char, c_int};

use tch::Device;
// Linked for its libtorch: the device's code calls it.
use torch_sys as _;

/// Error of setting up the second device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSecondDevice {
    /// libtorch has its own code for CUDA, which needs a GPU.
    #[error(
        "libtorch is a CUDA build, and there is no GPU here; expected a GPU, or the CPU build of libtorch"
    )]
    NoGpu,
    /// libtorch did not take the device.
    #[error("libtorch did not take the second device: {0}")]
    Refused(String),
}

// SAFETY: the signature is that of device.cpp.
unsafe extern "C" {
    fn lexmax_second_device_install(message: *mut c_char, capacity: usize) -> c_int;
}

/// The device, installed at the first call. Call it before the first backward pass of the process:
/// libtorch counts its devices then, once.
///
/// # Errors
/// A CUDA build of libtorch without a GPU; a libtorch that does not take the device.
pub fn second_device() -> Result<Device, NoSecondDevice> {
    let mut message = [0_u8; 1024];
    // SAFETY: `message` has the length that is given; the other side writes bytes within it and
    // keeps no pointer.
    let code = unsafe { lexmax_second_device_install(message.as_mut_ptr().cast(), message.len()) };
    match code {
        0 | 1 => Ok(Device::Cuda(0)),
        2 => Err(NoSecondDevice::NoGpu),
        _ => {
            let text = CStr::from_bytes_until_nul(&message).unwrap_or_default().to_string_lossy();
            Err(NoSecondDevice::Refused(text.into_owned()))
        }
    }
}

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
