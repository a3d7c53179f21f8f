//! Tensors on a CPU as slices: what a function needs whose arithmetic knows no tensor.

use tch::{Kind, Tensor, kind};

use crate::{AutogradError, ffi};

/// Error of viewing a tensor as a slice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given}, expected {expected:?}, dense and contiguous, on the CPU")]
pub struct NotASlice {
    given: String,
    expected: Kind,
}

/// The elements of a tensor in row-major order.
///
/// While the slice lives, nobody may write to the tensor's memory: neither through another handle
/// of the tensor (`shallow_clone` makes one), nor through a view or a `detach` of it, on any
/// thread. The borrow holds this handle only and cannot see the others, so that is the caller's
/// promise. It is kept where the slice is an input of one kernel that writes to tensors of its own.
///
/// # Errors
/// Another dtype than `T`, another device than the CPU; an undefined tensor; one that is not
/// strided (sparse, MKL-DNN, nested), not contiguous, whose negative or conjugate bit is set
/// (resolve it first), or without memory.
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
    let (data, length) = numbers::<T>(tensor, false)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: `numbers` saw a strided, contiguous tensor on the CPU whose elements are `T` and
    // whose storage holds `length` of them from `data` on, aligned as libtorch aligns them. The
    // borrow of the tensor keeps the storage alive. Nobody writes to it meanwhile, by the promise
    // that the documentation asks for: Rust sees one handle, libtorch lets any number of them share
    // a storage.
    Ok(unsafe { std::slice::from_raw_parts(data.cast_const(), length) })
}

/// The elements of a tensor, to be written.
///
/// While the slice lives, it must be the only way to the tensor's memory: no other handle, view or
/// `detach` of it may be read or written, on any thread, and no other slice of it may exist. As for
/// [`slice()`] that is the caller's promise: it is kept for a tensor that was just made, and for a
/// parameter that is updated in place with nothing else running.
///
/// libtorch does not see what is written. Where the tensor may be part of a graph, call
/// [`mark_changed`] afterwards.
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
    let (data, length) = numbers::<T>(tensor, true)?;
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `slice`; memory that is shared until it is written to was copied. By the
    // caller's promise no other tensor that shares the storage is used meanwhile, so the mutable
    // borrow is the only way to it.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, length) })
}

/// Tells libtorch that a tensor was changed in place, through [`slice_mut`]: a graph that saved it
/// (or a view of it) before refuses its backward pass from then on ("modified by an inplace
/// operation"), as after an operation of libtorch's, rather than compute gradients from the new
/// numbers. Costs the addition of one to a counter.
///
/// # Errors
/// An undefined tensor, or one that was made in inference mode, whose changes nobody counts.
///
/// ```
/// use lexmax_autograd::cpu::{mark_changed, slice_mut};
/// use tch::{Kind, Tensor};
///
/// let mut w = Tensor::from_slice(&[3.0_f32]).set_requires_grad(true);
/// let y = w.square().sum(Kind::Float);
/// slice_mut::<f32>(&mut w)?[0] = 4.0;
/// mark_changed(&mut w)?;
/// assert!(y.f_backward().unwrap_err().to_string().contains("modified by an inplace operation"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mark_changed(tensor: &mut Tensor) -> Result<(), AutogradError> {
    ffi::bump_version(tensor)
}

/// Address of the first element and number of elements.
fn numbers<T: kind::Element>(tensor: &Tensor, write: bool) -> Result<(*mut T, usize), NotASlice> {
    let expected = T::KIND;
    // The dtype comes second: tch may not ask an undefined tensor for it.
    let (data, length) = ffi::numbers(tensor, write).map_err(|given| NotASlice { given, expected })?;
    match tensor.f_kind() {
        Ok(kind) if kind == expected => Ok((data.cast::<T>(), length)),
        Ok(kind) => {
            Err(NotASlice { given: format!("tensor {:?} of kind {kind:?}", tensor.size()), expected })
        }
        Err(error) => {
            Err(NotASlice { given: format!("tensor of a kind unknown to tch ({error})"), expected })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Device;

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
        let refused = |tensor: &mut Tensor| {
            let error = slice::<f32>(tensor).unwrap_err();
            assert_eq!(slice_mut::<f32>(tensor).unwrap_err(), error);
            error.to_string()
        };
        let expected = "expected Float, dense and contiguous, on the CPU";
        let kind = refused(&mut tensor.to_kind(Kind::Double));
        assert_eq!(kind, format!("tensor [2, 2] of kind Double, {expected}"));
        let strides = refused(&mut tensor.tr());
        assert_eq!(strides, format!("tensor [2, 2] on cpu with strides [1, 2], {expected}"));
        assert_eq!(refused(&mut Tensor::new()), format!("undefined tensor, {expected}"));
        assert_eq!(
            refused(&mut tensor.to_sparse_sparse_dim(1)),
            format!("tensor of layout Sparse, {expected}")
        );
        let csr = tensor.f_internal_to_sparse_csr(None::<i64>).unwrap();
        assert_eq!(refused(&mut csr.shallow_clone()), format!("tensor of layout SparseCsr, {expected}"));
        let mkldnn = refused(&mut tensor.to_mkldnn());
        assert_eq!(mkldnn, format!("tensor of layout Mkldnn, {expected}"));
        let zeros = refused(&mut Tensor::internal_efficientzerotensor([2], (Kind::Float, Device::Cpu)));
        assert_eq!(zeros, format!("tensor [2] on cpu without memory, {expected}"));
    }

    #[test]
    fn numbers_that_are_negated_or_conjugated_when_read_are_refused() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
        let negative = tensor.internal_neg_view();
        assert_eq!(negative.double_value(&[0]), -1.0);
        let error = slice::<f32>(&negative).unwrap_err().to_string();
        assert!(error.starts_with("tensor [4] on cpu with the negative bit, "), "{error}");
        assert_eq!(slice::<f32>(&negative.resolve_neg()).unwrap(), [-1.0, -2.0, -3.0, -4.0]);
        let conjugate = tensor.view([2, 2]).view_as_complex().conj();
        let error = slice::<f32>(&conjugate).unwrap_err().to_string();
        assert!(error.starts_with("tensor [2] on cpu with the conjugate bit, "), "{error}");
    }

    #[test]
    fn a_copy_that_waits_for_a_write_is_made_by_it_alone() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0]);
        let mut clone = tensor.internal_lazy_clone();
        assert_eq!(slice::<f32>(&clone).unwrap().as_ptr(), slice::<f32>(&tensor).unwrap().as_ptr());
        slice_mut::<f32>(&mut clone).unwrap()[0] = 7.0;
        assert_eq!((slice::<f32>(&tensor).unwrap()[0], slice::<f32>(&clone).unwrap()[0]), (1.0, 7.0));
    }

    #[test]
    fn a_marked_change_is_seen_by_graphs_that_saved_the_tensor() {
        for marked in [false, true] {
            let mut w = Tensor::from_slice(&[3.0_f32]).set_requires_grad(true);
            let y = w.square();
            slice_mut::<f32>(&mut w).unwrap()[0] = 4.0;
            if marked {
                let before = w.internal_version();
                mark_changed(&mut w).unwrap();
                assert_eq!(w.internal_version(), before + 1);
            }
            assert_eq!(y.f_backward().is_err(), marked);
        }
        let error = mark_changed(&mut Tensor::new()).unwrap_err().to_string();
        assert!(error.starts_with("mark_changed: "), "{error}");
    }
}
