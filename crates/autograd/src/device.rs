//! How much memory a device has free.

use tch::Device;

use crate::ffi;

/// Bytes that a CUDA device has free for this process: what its driver has left, and what libtorch
/// keeps from freed tensors for the next ones. `None` for other devices, and where libtorch does
/// not tell.
///
/// The question goes through the interface that libtorch has for the allocators of all devices, so
/// that the same code compiles against its CPU part and its CUDA build.
///
/// ```
/// assert_eq!(lexmax_autograd::free_memory(tch::Device::Cpu), None);
/// ```
pub fn free_memory(device: Device) -> Option<usize> {
    let Device::Cuda(index) = device else { return None };
    ffi::free_memory(i8::try_from(index).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_device_that_is_not_there_is_unknown() {
        let none_here = !tch::Cuda::is_available();
        for index in [0, 126, 127, 128, 1000] {
            assert_eq!(
                free_memory(Device::Cuda(index)).filter(|_| none_here || index > 100),
                None,
                "{index}"
            );
        }
    }
}
