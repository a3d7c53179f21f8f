//! Tensors on a CPU as slices: what a function needs whose arithmetic knows no tensor.

use tch::{Device, Kind, Tensor, kind};

/// Why a tensor cannot be seen as a slice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "tensor {shape:?} of kind {kind:?} on {device:?}, expected {expected:?}, dense and contiguous, on the CPU"
)]
pub struct NotASlice {
    shape: Vec<i64>,
    kind: Kind,
    device: Device,
    expected: Kind,
}

/// The elements of a tensor in row-major order.
///
/// # Errors
/// Another kind than `T`, another device than the CPU, sparse or not contiguous.
///
/// ```
/// use lexmax_autograd::cpu::slice;
/// use tch::Tensor;
///
/// let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
/// assert_eq!(slice::<f32>(&tensor)?, [1.0, 2.0, 3.0, 4.0]);
/// assert!(slice::<f64>(&tensor).is_err());
/// # Ok::<(), lexmax_autograd::cpu::NotASlice>(())
/// ```
pub fn slice<T: kind::Element>(tensor: &Tensor) -> Result<&[T], NotASlice> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // SAFETY: `check` saw a defined, dense, contiguous tensor on the CPU whose elements are `T`, so its data pointer is
    // valid and aligned for `numel` of them. The borrow of the tensor keeps the storage alive. Nobody writes to it
    // meanwhile: the callers borrow inputs of a call, which they do not change, for the length of one kernel.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The elements of a tensor, to be written. The tensor must be the only user of its storage while the slice lives: one
/// that was just made, or a parameter that is updated in place with nothing else running.
///
/// # Errors
/// As [`slice()`].
///
/// ```
/// use lexmax_autograd::cpu::slice_mut;
/// use tch::{Device, Kind, Tensor};
///
/// let mut tensor = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu));
/// slice_mut::<f32>(&mut tensor)?[2] = 9.0;
/// assert_eq!(tensor.double_value(&[1, 0]), 9.0);
/// # Ok::<(), lexmax_autograd::cpu::NotASlice>(())
/// ```
pub fn slice_mut<T: kind::Element>(tensor: &mut Tensor) -> Result<&mut [T], NotASlice> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `slice`; and by the callers' promise no other tensor that shares the storage is used meanwhile, so
    // the mutable borrow is the only way to it.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

fn check<T: kind::Element>(tensor: &Tensor) -> Result<(), NotASlice> {
    let dense = !tensor.is_sparse() && tensor.device() == Device::Cpu && tensor.is_contiguous();
    if dense && tensor.kind() == T::KIND {
        return Ok(());
    }
    Err(NotASlice { shape: tensor.size(), kind: tensor.kind(), device: tensor.device(), expected: T::KIND })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slices_are_the_elements_in_order() {
        let mut tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert_eq!(slice::<f32>(&tensor).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        slice_mut::<f32>(&mut tensor).unwrap()[2] = 9.0;
        assert_eq!(tensor.double_value(&[1, 0]), 9.0);
        assert!(slice::<f32>(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))).unwrap().is_empty());
        assert_eq!(slice::<i64>(&Tensor::from_slice(&[7_i64])).unwrap(), [7]);
    }

    #[test]
    fn other_kinds_layouts_and_strides_are_refused() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert!(slice::<f64>(&tensor).unwrap_err().to_string().contains("expected Double"));
        assert!(slice::<f32>(&tensor.tr()).unwrap_err().to_string().contains("contiguous"));
        assert!(slice::<f32>(&tensor.to_sparse_sparse_dim(1)).is_err());
        assert!(slice_mut::<f32>(&mut tensor.tr()).is_err());
    }
}
