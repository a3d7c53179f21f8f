//! For tests: a device of libtorch beside the CPU, on a machine that has none.
//!
//! Code that runs on a GPU must make its tensors there, move its targets there and read its numbers
//! back. A machine without a GPU never sees the line that forgot to. [`second_device`] gives such a
//! machine a `Device::Cuda(0)` made of host memory: every operation computes what the CPU computes,
//! tensors of both devices in one operation are an error as on a GPU, and
//! `tch::Cuda::device_count()` says 1. It is slow (every operation copies) and knows dense tensors
//! only, whose bytes it counts ([`memory`]). Where libtorch is a CUDA build with a GPU, the device
//! is that GPU, and the same tests test the real thing.
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

// SAFETY: the signatures are those of device.cpp.
unsafe extern "C" {
    fn lexmax_second_device_install(message: *mut c_char, capacity: usize) -> c_int;
    fn lexmax_second_device_memory(held: *mut usize, peak: *mut usize);
    fn lexmax_second_device_reset_peak();
    fn lexmax_second_device_set_memory(bytes: usize);
}

/// Bytes of the tensors on the device of host memory; a GPU counts its own, elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// Bytes now.
    pub held: usize,
    /// The most since the start or the last [`reset_peak`].
    pub peak: usize,
}

/// Memory of the tensors on the device. What an operation takes on the CPU to compute for the
/// device is not in it.
///
/// ```
/// use lexmax_second_device::{memory, reset_peak, second_device};
/// use tch::{Kind, Tensor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = second_device()?;
/// reset_peak();
/// let before = memory().held;
/// drop(Tensor::f_ones([1000], (Kind::Float, device))?);
/// # if memory().peak > 0 {
/// assert_eq!((memory().held - before, memory().peak - before), (0, 4000));
/// # }
/// # Ok(())
/// # }
/// ```
pub fn memory() -> DeviceMemory {
    let (mut held, mut peak) = (0, 0);
    // SAFETY: both places live until the call returns, which writes to them under a lock.
    unsafe { lexmax_second_device_memory(&mut held, &mut peak) };
    DeviceMemory { held, peak }
}

/// Lets the count of [`DeviceMemory::peak`] begin anew.
pub fn reset_peak() {
    // SAFETY: the call takes nothing and changes a counter under a lock.
    unsafe { lexmax_second_device_reset_peak() };
}

/// Sets how much memory the device says that it has in all: 8 GiB at first.
pub fn set_memory(bytes: usize) {
    // SAFETY: the call changes a number under a lock.
    unsafe { lexmax_second_device_set_memory(bytes) };
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
