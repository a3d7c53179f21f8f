//! One step of one parameter: by the row kernels where they can see the tensors as slices, by
//! tensor operations elsewhere.

use lexmax_autograd::cpu::{NotASlice, mark_changed, slice, slice_mut};
use lexmax_kernels::Element;
use lexmax_kernels::optim::{Gradient, Others, Rule, Tables, update as update_slices};
use tch::{Kind, Tensor, kind};

use crate::error::Result;
use crate::sparse::RowGradient;
use crate::tensors;
use crate::threads::threads;

/// Moves `parameter` and the tables of its state by `scale` times a dense gradient.
pub(crate) fn dense(
    rule: Rule,
    parameter: &mut Tensor,
    state: &mut [Tensor],
    gradient: &Tensor,
    scale: f64,
) -> Result<()> {
    let gradient = gradient.f_contiguous()?;
    let done = match parameter.f_kind()? {
        Kind::Float => by_kernel::<f32>(rule, parameter, state, &gradient, scale, None)?,
        Kind::Double => by_kernel::<f64>(rule, parameter, state, &gradient, scale, None)?,
        _ => false,
    };
    if done { Ok(()) } else { tensors::update(rule, parameter, state, Some(&scaled(&gradient, scale)?)) }
}

/// Moves `parameter` and the tables of its state by `scale` times a gradient of some rows; what
/// becomes of the `others` is given.
pub(crate) fn by_rows(
    rule: Rule,
    parameter: &mut Tensor,
    state: &mut [Tensor],
    gradient: &RowGradient,
    scale: f64,
    others: Others,
) -> Result<()> {
    let values = gradient.values.f_contiguous()?;
    let rows = gradient.rows.f_contiguous()?;
    let done = match parameter.f_kind()? {
        Kind::Float => by_kernel::<f32>(rule, parameter, state, &values, scale, Some((&rows, others)))?,
        Kind::Double => by_kernel::<f64>(rule, parameter, state, &values, scale, Some((&rows, others)))?,
        _ => false,
    };
    if done {
        Ok(())
    } else {
        tensors::update_rows(rule, parameter, state, &rows, &scaled(&values, scale)?, others)
    }
}

/// Whether the kernels could: they want dense contiguous tensors of `T` on the CPU.
fn by_kernel<T: Element + kind::Element>(
    rule: Rule,
    parameter: &mut Tensor,
    state: &mut [Tensor],
    values: &Tensor,
    scale: f64,
    rows: Option<(&Tensor, Others)>,
) -> Result<bool> {
    let height = parameter.size().first().map_or(1, |&height| usize::try_from(height).unwrap_or(0));
    let width = parameter.numel().checked_div(height).unwrap_or(0);
    let Ok(numbers) = slice_mut::<T>(parameter) else { return Ok(false) };
    let state: std::result::Result<Vec<&mut [T]>, NotASlice> = state.iter_mut().map(slice_mut).collect();
    let (Ok(state), Ok(values)) = (state, slice::<T>(values)) else { return Ok(false) };
    let gradient = match rows {
        None => Gradient::Dense(values),
        Some((rows, others)) => match slice::<i64>(rows) {
            Ok(rows) => Gradient::Rows { rows, values, others },
            Err(_) => return Ok(false),
        },
    };
    update_slices(rule, Tables { parameter: numbers, state, width }, gradient, scale, threads())?;
    // A graph that saved the parameter must not go on with its new numbers.
    mark_changed(parameter)?;
    Ok(true)
}

/// `scale` times a gradient.
fn scaled(gradient: &Tensor, scale: f64) -> Result<Tensor> {
    if scale == 1.0 { Ok(gradient.shallow_clone()) } else { Ok(gradient.f_mul_scalar(scale)?) }
}
