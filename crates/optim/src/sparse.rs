//! Row-sparse gradients: each row once, rising, whatever libtorch left behind.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_autograd::sparse::rows_of;
use lexmax_kernels::Element;
use lexmax_kernels::KernelError;
use lexmax_kernels::optim::{Merge, rising};
use tch::{Device, Kind, Tensor, kind};

use crate::error::{OptimError, Result};
use crate::threads::threads;

/// The rows of a gradient `[V, ..]` that may differ from zero; tensors that share the gradient's
/// memory.
#[derive(Debug)]
pub(crate) struct RowGradient {
    /// Row ids, `[R]`, i64, strictly rising.
    pub rows: Tensor,
    /// Gradient of each of these rows, `[R, ..]`.
    pub values: Tensor,
}

impl RowGradient {
    /// The rows of a sparse gradient of the parameter `name`. A gradient in which rows occur twice
    /// or out of order is replaced by its sum in place, so it is made once, whoever asks first: the
    /// leaf's `grad` is then coalesced.
    ///
    /// libtorch forgets that a gradient is coalesced when it becomes the `grad` of a leaf, so where
    /// the mark is missing the rows are looked at: one pass over `R` numbers.
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
    let sums = row_gradient(&rows, &gradient.f_internal_values()?, &gradient.size())?;
    Ok(gradient.f_set_data(&sums)?)
}

/// The row-sparse gradient (COO with one sparse dimension, rows rising, each once) of a weight of
/// shape `size` from `values` `[N, ..]`, one row for each of `ids` `[N]`, i64, in any order; rows
/// of one id are added up.
///
/// On the CPU in f32 and f64: a sort of the ids, then sums in their order, in f64 (the same bits at
/// every run); elsewhere libtorch's own.
///
/// # Errors
/// Shapes that do not fit; libtorch refused.
///
/// ```
/// use lexmax_optim::row_gradient;
/// use tch::Tensor;
///
/// let (ids, values) = (Tensor::from_slice(&[4_i64, 1, 4]), Tensor::from_slice(&[1.0_f32, 2.0,
/// 3.0]).view([3, 1]));
/// let gradient = row_gradient(&ids, &values, &[1_000_000, 1])?;
/// assert_eq!(gradient.indices(), Tensor::from_slice(&[1_i64, 4]).view([1, 2]));
/// assert_eq!(gradient.values(), Tensor::from_slice(&[2.0_f32, 4.0]).view([2, 1]));
/// # Ok::<(), lexmax_optim::OptimError>(())
/// ```
pub fn row_gradient(ids: &Tensor, values: &Tensor, size: &[i64]) -> Result<Tensor> {
    match (values.f_kind()?, values.device()) {
        (Kind::Float, Device::Cpu) => merged::<f32>(ids, values, size),
        (Kind::Double, Device::Cpu) => merged::<f64>(ids, values, size),
        options => {
            check_ids(ids, values, size)?;
            let rows = ids.f_unsqueeze(0)?;
            let all = Tensor::f_sparse_coo_tensor_indices_size(&rows, values, size, options, false)?;
            Ok(all.f_coalesce()?)
        }
    }
}

fn merged<T: Element + kind::Element>(ids: &Tensor, values: &Tensor, size: &[i64]) -> Result<Tensor> {
    let (ids, values) = (ids.f_contiguous()?, values.f_contiguous()?);
    let merge = Merge::new(slice::<i64>(&ids)?);
    let (height, row) = size.split_first().map_or((0, size), |(&height, row)| (height, row));
    let outside = [merge.ids().first(), merge.ids().last()].into_iter().flatten();
    if let Some(id) = outside.into_iter().find(|id| !(0..height).contains(*id)) {
        return Err(unfit("id", id, format!("0 <= id < {height}")));
    }
    if values.size().get(1..) != Some(row) {
        return Err(unfit("shape of values", format!("{:?}", values.size()), format!("[N, ..] of {size:?}")));
    }
    let mut shape = values.size();
    shape[0] = merge.ids().len() as i64;
    let mut sums = Tensor::f_empty(shape, (values.f_kind()?, values.device()))?;
    let width = row.iter().product::<i64>().try_into().unwrap_or(0);
    merge.sum(slice::<T>(&values)?, width, slice_mut::<T>(&mut sums)?, threads())?;
    Ok(rows_of(&Tensor::f_from_slice(merge.ids())?, &sums, size)?)
}

/// Checks ids on the reference path as the kernels do on theirs: libtorch makes a sparse tensor of
/// any ids, and reads and writes out of bounds later.
fn check_ids(ids: &Tensor, values: &Tensor, size: &[i64]) -> Result<()> {
    let (height, row) = size.split_first().map_or((0, size), |(&height, row)| (height, row));
    let given = (ids.size(), ids.f_kind()?);
    let ([count], Kind::Int64) = (given.0.as_slice(), given.1) else {
        return Err(unfit("ids", format!("{:?} of kind {:?}", given.0, given.1), "[N] of kind Int64".into()));
    };
    if *count > 0 {
        for id in [ids.f_min()?.f_int64_value(&[])?, ids.f_max()?.f_int64_value(&[])?] {
            if !(0..height).contains(&id) {
                return Err(unfit("id", id, format!("0 <= id < {height}")));
            }
        }
    }
    if values.size().split_first() != Some((count, row)) {
        return Err(unfit(
            "shape of values",
            format!("{:?}", values.size()),
            format!("[{count}, ..] of {size:?}"),
        ));
    }
    Ok(())
}

fn unfit(name: &'static str, given: impl ToString, expected: String) -> OptimError {
    KernelError::Argument { op: "row_gradient", name, given: given.to_string(), expected }.into()
}
