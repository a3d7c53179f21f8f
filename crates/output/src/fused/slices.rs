//! Tensors on a CPU as slices.

use tch::{Device, Tensor};

use super::scratch::Scratched;
use crate::{OutputError, Result};

/// The elements of a tensor in row-major order.
pub(super) fn slice<T: tch::kind::Element>(tensor: &Tensor) -> Result<&[T]> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // SAFETY: `check` saw a defined, dense, contiguous tensor on the CPU whose elements are `T`, so its data pointer is
    // valid and aligned for `numel` of them. The borrow of the tensor keeps the storage alive. Nobody writes to it
    // meanwhile: the callers borrow inputs of a call, which they do not change, for the length of one kernel.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The elements of a fresh tensor, to be written.
pub(super) fn slice_mut<T: Scratched>(tensor: &mut Tensor) -> Result<&mut [T]> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `slice`; and the callers have just made the tensor, so no other tensor shares its storage and the
    // mutable borrow is the only way to it.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

fn check<T: tch::kind::Element>(tensor: &Tensor) -> Result<()> {
    let op = "fused";
    if tensor.kind() != T::KIND {
        let expected = format!("{:?}", T::KIND);
        return Err(OutputError::Kind { op, what: "tensor", given: tensor.kind(), expected });
    }
    if tensor.device() != Device::Cpu || tensor.is_sparse() || !tensor.is_contiguous() {
        let given = format!("{:?} on {:?}", tensor.size(), tensor.device());
        return Err(OutputError::argument(op, "tensor", given, "a dense contiguous tensor on the CPU"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Kind;

    #[test]
    fn slices_are_the_elements_in_order() {
        let mut tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert_eq!(slice::<f32>(&tensor).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        slice_mut::<f32>(&mut tensor).unwrap()[2] = 9.0;
        assert_eq!(tensor.double_value(&[1, 0]), 9.0);
        assert!(slice::<f32>(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))).unwrap().is_empty());
    }

    #[test]
    fn other_kinds_and_strides_are_refused() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert!(slice::<f64>(&tensor).unwrap_err().to_string().contains("Double"));
        assert!(slice::<f32>(&tensor.tr()).unwrap_err().to_string().contains("contiguous"));
    }
}
