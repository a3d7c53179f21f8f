//! Input checks of losses and queries: shapes, dtypes and devices, targets that name classes,
//! finite hidden states.

use lexmax_autograd::cpu::slice;
use tch::{Kind, Tensor};

use crate::{Loss, OutputError, Result};

impl Loss {
    /// Checks the input of an exact query: hidden states `[N, D]` and, where given, targets `[N]`,
    /// none ignored.
    ///
    /// # Errors
    /// An input that [`Loss::batch`] refuses, or an ignored target outside `0..V`.
    pub fn check(&self, op: &'static str, hidden: &Tensor, targets: Option<&Tensor>) -> Result<()> {
        check_shapes(op, hidden, targets, self)?;
        if let Some(targets) = targets {
            check_targets(op, targets, self.vocab_size, None, None)?;
        }
        check_finite(op, hidden, None)
    }
}

pub(crate) fn check_shapes(
    op: &'static str,
    hidden: &Tensor,
    targets: Option<&Tensor>,
    layer: &Loss,
) -> Result<()> {
    let shape = hidden.size();
    if shape.len() != 2 || shape[1] != layer.hidden_size {
        // Callers of any leading shape come here with a width that does not fit, others with rows.
        let leading = if shape.last() == Some(&layer.hidden_size) { "N" } else { ".." };
        let expected = format!("[{leading}, {}]", layer.hidden_size);
        return Err(OutputError::Shape { op, what: "hidden", given: shape, expected });
    }
    if hidden.kind() != layer.kind {
        let expected = format!("{:?}, the kind of the layer's parameters", layer.kind);
        return Err(OutputError::Kind { op, what: "hidden", given: hidden.kind(), expected });
    }
    check_device(op, "hidden", hidden, layer)?;
    let Some(targets) = targets else { return Ok(()) };
    if targets.size() != [shape[0]] {
        let expected = format!("[{}], one target for each row of hidden", shape[0]);
        return Err(OutputError::Shape { op, what: "targets", given: targets.size(), expected });
    }
    if targets.kind() != Kind::Int64 {
        let expected = "Int64".to_owned();
        return Err(OutputError::Kind { op, what: "targets", given: targets.kind(), expected });
    }
    check_device(op, "targets", targets, layer)
}

/// Some operations of libtorch move what lies elsewhere without a word and others refuse it, so a
/// layer refuses it first.
fn check_device(op: &'static str, what: &'static str, tensor: &Tensor, layer: &Loss) -> Result<()> {
    let (given, expected) = (tensor.device(), layer.device);
    if given == expected { Ok(()) } else { Err(OutputError::Device { op, what, given, expected }) }
}

/// The smallest and the largest target decide in one pass; the row is looked for only when one is
/// out of range.
pub(crate) fn check_targets(
    op: &'static str,
    targets: &Tensor,
    vocab_size: i64,
    ignore_index: Option<i64>,
    kept: Option<&Tensor>,
) -> Result<()> {
    if targets.numel() == 0 {
        return Ok(());
    }
    let (smallest, largest) = (targets.f_min()?.f_int64_value(&[])?, targets.f_max()?.f_int64_value(&[])?);
    if smallest >= 0 && largest < vocab_size {
        return Ok(());
    }
    let bad = targets.f_lt(0)?.f_logical_or(&targets.f_ge(vocab_size)?)?;
    let position = bad.f_nonzero()?.f_int64_value(&[0, 0])?;
    let given = targets.f_int64_value(&[position])?;
    let or_ignored = ignore_index.map(|index| format!(" or the ignored {index}")).unwrap_or_default();
    Err(OutputError::Target { op, row: original_row(kept, position)?, given, vocab_size, or_ignored })
}

/// A sum is finite when every term is (or overflows, which the second look settles), and costs one
/// pass over `[N, D]`.
pub(crate) fn check_finite(op: &'static str, hidden: &Tensor, kept: Option<&Tensor>) -> Result<()> {
    if is_finite_here(hidden) {
        return Ok(());
    }
    let _guard = tch::no_grad_guard();
    if hidden.f_sum(None::<Kind>)?.f_double_value(&[])?.is_finite() {
        return Ok(());
    }
    let bad_rows = hidden.f_isfinite()?.f_logical_not()?.f_any_dim(1, false)?.f_nonzero()?;
    if bad_rows.numel() == 0 {
        return Ok(());
    }
    let row = original_row(kept, bad_rows.f_int64_value(&[0, 0])?)?;
    Err(OutputError::NotFinite { op, what: "hidden", row })
}

/// Whether a contiguous f32 or f64 tensor on the CPU is finite, by one pass on this thread
/// (`false`: look again by other means): libtorch's sum would wake its pool, which then spins for a
/// while and takes a core from the sweep that follows.
fn is_finite_here(hidden: &Tensor) -> bool {
    match hidden.kind() {
        Kind::Float => slice::<f32>(hidden)
            .is_ok_and(|all| all.iter().fold(true, |finite, number| finite & number.is_finite())),
        Kind::Double => slice::<f64>(hidden)
            .is_ok_and(|all| all.iter().fold(true, |finite, number| finite & number.is_finite())),
        _ => false,
    }
}

fn original_row(kept: Option<&Tensor>, position: i64) -> Result<i64> {
    Ok(match kept {
        Some(kept) => kept.f_int64_value(&[position])?,
        None => position,
    })
}
