//! Row-sparse gradients: each row once, rising, whatever libtorch left behind.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_autograd::sparse::rows_of;
use lexmax_kernels::rows::{Merge, RowElement, rising};
use tch::{Device, Kind, Tensor, kind};

use crate::error::{OptimError, Result};

/// The rows of a gradient `[V, ..]` that may differ from zero; tensors that share the gradient's memory.
#[derive(Debug)]
pub(crate) struct RowGradient {
    /// `[R]`, i64, rising, each once.
    pub rows: Tensor,
    /// `[R, ..]`.
    pub values: Tensor,
}

impl RowGradient {
    /// The rows of a sparse gradient of the parameter `name`. A gradient in which rows occur twice or out of order is
    /// replaced by its sum in place, so it is made once, whoever asks first: the leaf's `grad` is then coalesced.
    ///
    /// libtorch forgets that a gradient is coalesced when it becomes the `grad` of a leaf, so where the mark is missing
    /// the rows are looked at: one pass over `R` numbers.
    ///
    /// # Errors
    /// A gradient with another number of sparse dimensions than one.
    pub fn of(name: &str, gradient: &mut Tensor) -> Result<Self> {
        let given = gradient.f_sparse_dim()?;
        if given != 1 {
            return Err(OptimError::SparseGradient { name: name.to_owned(), given });
        }
        if !gradient.f_is_coalesced()? {
            coalesce(gradient)?;
        }
        let rows = gradient.f_internal_indices()?.f_select(0, 0)?;
        Ok(Self { rows, values: gradient.f_internal_values()? })
    }
}

fn coalesce(gradient: &mut Tensor) -> Result<()> {
    let rows = gradient.f_internal_indices()?.f_select(0, 0)?;
    if rows.device() != Device::Cpu {
        let sums = gradient.f_coalesce()?;
        return Ok(gradient.f_set_data(&sums)?);
    }
    let rows = rows.f_contiguous()?;
    let ids = slice::<i64>(&rows)?;
    if rising(ids) {
        let _ = gradient.f_internal_coalesced_(true)?;
        return Ok(());
    }
    let values = gradient.f_internal_values()?;
    let sums = match values.f_kind()? {
        Kind::Float => merged::<f32>(ids, &values, &gradient.size())?,
        Kind::Double => merged::<f64>(ids, &values, &gradient.size())?,
        _ => gradient.f_coalesce()?,
    };
    Ok(gradient.f_set_data(&sums)?)
}

/// The sum for each id as a sparse tensor of shape `size`.
fn merged<T: RowElement + kind::Element>(ids: &[i64], values: &Tensor, size: &[i64]) -> Result<Tensor> {
    let values = values.f_contiguous()?;
    let merge = Merge::new(ids);
    let mut shape = values.size();
    shape[0] = merge.ids().len() as i64;
    let mut sums = Tensor::f_empty(shape, (values.f_kind()?, values.device()))?;
    let width = values.numel() / ids.len().max(1);
    merge.sum(slice::<T>(&values)?, width, slice_mut::<T>(&mut sums)?, threads())?;
    Ok(rows_of(&Tensor::f_from_slice(merge.ids())?, &sums, size)?)
}

/// libtorch's setting governs our threads too.
pub(crate) fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}
