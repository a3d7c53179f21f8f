//! Exact top-k and exact draws in one sweep.

use lexmax_kernels::{linear_ce, query, seed::Generator};
use rand::RngExt;
use tch::{Kind, Tensor};

use super::inputs::Inputs;
use super::workspaces::{FusedKind, Scratch};
use crate::{Linear, Result, TopK, check_k};

/// The exact `k` most probable classes of each row, and the rows' log-normalisers.
pub(crate) fn top_k(
    op: &'static str,
    linear: Linear<'_>,
    k: i64,
    scratch: &Scratch,
) -> Result<(TopK, Tensor)> {
    check_k(op, k, linear.weight.size().first().copied().unwrap_or(0))?;
    match linear.hidden.kind() {
        Kind::Double => top_k_in::<f64>(linear, k, scratch),
        _ => top_k_in::<f32>(linear, k, scratch),
    }
}

/// One exact draw from the softmax of each row, `[N]`.
pub(crate) fn sample(linear: Linear<'_>, rng: &mut Generator, scratch: &Scratch) -> Result<Tensor> {
    let seed = rng.random::<u64>();
    match linear.hidden.kind() {
        Kind::Double => sample_in::<f64>(linear, seed, scratch),
        _ => sample_in::<f32>(linear, seed, scratch),
    }
}

fn top_k_in<T: FusedKind>(linear: Linear<'_>, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
    let Linear { temperature, transform, .. } = linear;
    let k_usize = usize::try_from(k).unwrap_or(usize::MAX);
    let top = with_slices::<T, _>(linear, |slices| {
        scratch.with(|workspace| query::top_k(slices, k_usize, temperature, transform, workspace))
    })?;
    let rows = top.log_normaliser.len() as i64;
    let answer = TopK {
        log_probs: Tensor::f_from_slice(&top.log_probs)?.f_to_kind(T::KIND)?.f_view([rows, k])?,
        ids: Tensor::f_from_slice(&top.ids)?.f_view([rows, k])?,
    };
    Ok((answer, Tensor::f_from_slice(&top.log_normaliser)?))
}

fn sample_in<T: FusedKind>(linear: Linear<'_>, seed: u64, scratch: &Scratch) -> Result<Tensor> {
    let Linear { temperature, transform, .. } = linear;
    let ids = with_slices::<T, _>(linear, |slices| {
        scratch.with(|workspace| query::sample(slices, seed, temperature, transform, workspace))
    })?;
    Ok(Tensor::f_from_slice(&ids)?)
}

fn with_slices<T: FusedKind, R>(
    linear: Linear<'_>,
    run: impl FnOnce(linear_ce::Linear<'_, T>) -> std::result::Result<R, lexmax_kernels::KernelError>,
) -> Result<R> {
    let Linear { hidden, weight, bias, .. } = linear;
    let bias = bias.map(Tensor::f_detach).transpose()?;
    let detached = Inputs::new([Some(&hidden.f_detach()?), Some(&weight.f_detach()?), bias.as_ref()])?;
    Ok(run(detached.linear([0, 1, 2])?)?)
}
