//! Values of tensors on the host, for the searches.

use lexmax_output::Result;
use tch::{Kind, Tensor};

/// All elements in the order of their rows, in f64.
pub(crate) fn flat_f64(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(&tensor.f_flatten(0, -1)?.f_to_kind(Kind::Double)?)?)
}

/// All elements in the order of their rows.
pub(crate) fn flat_i64(tensor: &Tensor) -> Result<Vec<i64>> {
    Ok(Vec::<i64>::try_from(&tensor.f_flatten(0, -1)?)?)
}
