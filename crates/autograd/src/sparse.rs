//! Row-sparse gradients: what a function that reads `R` of `V` rows of a weight returns for it.

use tch::Tensor;

/// A row-sparse gradient (COO with one sparse dimension) of a weight: `rows` `[R]` (i64, rising, each once, inside
/// `0..size[0]`: the caller answers for that, and nothing is sorted or added up again) and `values` `[R, ...]`; all other rows are
/// zero and take no memory.
///
/// # Errors
/// libtorch refused: shapes that do not fit.
///
/// ```
/// use lexmax_autograd::sparse::rows_of;
/// use tch::{Kind, Tensor};
///
/// let values = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]);
/// let gradient = rows_of(&Tensor::from_slice(&[1_i64, 4]), &values, &[1_000_000, 2])?;
/// assert!(gradient.is_sparse());
/// assert_eq!(gradient.sum(Kind::Float).double_value(&[]), 10.0);
/// # Ok::<(), tch::TchError>(())
/// ```
pub fn rows_of(rows: &Tensor, values: &Tensor, size: &[i64]) -> Result<Tensor, tch::TchError> {
    let options = (values.f_kind()?, values.device());
    Tensor::f_internal_sparse_coo_tensor_unsafe(&rows.f_unsqueeze(0)?, values, size, options, true)
}

/// A gradient as a dense tensor, whatever its layout.
///
/// # Errors
/// libtorch refused.
pub fn to_dense(gradient: &Tensor) -> Result<Tensor, tch::TchError> {
    if gradient.is_sparse() { gradient.f_to_dense(None, false) } else { Ok(gradient.shallow_clone()) }
}
