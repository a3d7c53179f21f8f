//! Row-sparse gradients: what a function that reads `R` of `V` rows of a weight returns for it.

use tch::{Device, Kind, Tensor};

use crate::cpu::slice;
use crate::{AutogradError, ffi};

/// A row-sparse gradient (COO with one sparse dimension) of a weight of shape `size`: `rows` `[R]`
/// (i64, rising, each once, inside `0..size[0]`) and `values` `[R, ...]`; all other rows are zero
/// and take no memory. The gradient is marked as coalesced, and shares the memory of both; nothing
/// is sorted or added up.
///
/// Costs one look at `R` numbers, on the CPU: rows of another device are brought there for it.
///
/// # Errors
/// Rows of another dtype or shape, out of order, twice or out of range; values of another shape or
/// device; libtorch refused.
///
/// ```
/// use lexmax_autograd::sparse::rows_of;
/// use tch::{Kind, Tensor};
///
/// let values = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
/// let gradient = rows_of(&Tensor::from_slice(&[1_i64, 4]), &values, &[1_000_000, 2])?;
/// assert!(gradient.is_sparse());
/// assert_eq!(gradient.sum(Kind::Float).double_value(&[]), 10.0);
/// assert!(rows_of(&Tensor::from_slice(&[4_i64, 1]), &values, &[1_000_000, 2]).is_err());
/// # Ok::<(), lexmax_autograd::AutogradError>(())
/// ```
pub fn rows_of(rows: &Tensor, values: &Tensor, size: &[i64]) -> Result<Tensor, AutogradError> {
    for (name, tensor) in [("rows", rows), ("values", values)] {
        if !is_strided(tensor) {
            return Err(unfit(name, "are no dense tensor".into(), "a dense tensor".into()));
        }
    }
    let Some((&height, row)) = size.split_first() else {
        return Err(unfit("size", "is []".into(), "[V, ..]".into()));
    };
    let kind = rows.f_kind().map_err(refused)?;
    if rows.dim() != 1 || kind != Kind::Int64 {
        let given = format!("are {:?} of kind {kind:?}", rows.size());
        return Err(unfit("rows", given, "[R] of kind Int64".into()));
    }
    let shape = values.size();
    if shape.split_first() != Some((&rows.size()[0], row)) {
        let expected = format!("one row for each of {} rows of {size:?}", rows.size()[0]);
        return Err(unfit("values", format!("have shape {shape:?}"), expected));
    }
    if rows.device() != values.device() {
        let given = format!("are on {:?}", rows.device());
        return Err(unfit("rows", given, format!("the device of the values, {:?}", values.device())));
    }
    let here = rows.f_to_device(Device::Cpu).and_then(|rows| rows.f_contiguous()).map_err(refused)?;
    check_rows(slice::<i64>(&here).map_err(refused)?, height)?;
    let options = (values.f_kind().map_err(refused)?, values.device());
    let indices = rows.f_unsqueeze(0).map_err(refused)?;
    Tensor::f_internal_sparse_coo_tensor_unsafe(&indices, values, size, options, true).map_err(refused)
}

fn check_rows(rows: &[i64], height: i64) -> Result<(), AutogradError> {
    if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
        let given = format!("go from {} to {}", pair[0], pair[1]);
        return Err(unfit("rows", given, "rising ones, each once".into()));
    }
    // They rise, so the first and the last stand for all.
    let outside = [rows.first(), rows.last()].into_iter().flatten().find(|row| !(0..height).contains(*row));
    outside.map_or(Ok(()), |row| Err(unfit("rows", format!("have {row}"), format!("0 <= row < {height}"))))
}

fn unfit(name: &'static str, given: String, expected: String) -> AutogradError {
    AutogradError::Argument { operation: "rows_of", name, given, expected }
}

fn refused(error: impl ToString) -> AutogradError {
    AutogradError::Torch { operation: "rows_of".into(), message: error.to_string() }
}

/// Whether a tensor's elements lie in memory as sizes and strides say, on any device: it is
/// defined, and not sparse in any layout, MKL-DNN's or nested. Other tensors have no address, and
/// tch panics where it is asked for it.
///
/// ```
/// use lexmax_autograd::sparse::is_strided;
/// use tch::Tensor;
///
/// let tensor = Tensor::from_slice(&[0.0, 1.0]);
/// assert!(is_strided(&tensor) && !is_strided(&tensor.to_sparse_sparse_dim(1)) &&
/// !is_strided(&Tensor::new()));
/// ```
pub fn is_strided(tensor: &Tensor) -> bool {
    ffi::is_strided(tensor)
}

/// A gradient as a dense tensor, whatever its layout.
///
/// # Errors
/// libtorch refused.
pub fn to_dense(gradient: &Tensor) -> Result<Tensor, tch::TchError> {
    if gradient.is_sparse() { gradient.f_to_dense(None, false) } else { Ok(gradient.shallow_clone()) }
}
