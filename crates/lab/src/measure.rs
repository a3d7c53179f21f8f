//! Timings of an output layer on a real batch.

use std::time::Instant;

use lexmax_kernels::seed::generator;
use lexmax_optim::Optimizer;
use lexmax_output::OutputLayer;
use tch::{Device, Tensor};

use crate::Result;
use crate::machine::synchronize;

/// Timed calls of which the median counts; one more before them warms up.
const CALLS: usize = 7;
/// Rows of the batch for [`top_k_ms`].
pub const TOP_K_ROWS: i64 = 64;
/// Classes asked for in [`top_k_ms`].
const K: i64 = 10;

/// Milliseconds of the layer's loss with the gradients of its parameters and of the hidden states,
/// median. The optimizer drops the gradients before each call, as it does before a step; parameters
/// do not change.
///
/// # Errors
/// The layer refused.
pub fn layer_ms(
    layer: &dyn OutputLayer,
    optimizer: &mut Optimizer,
    hidden: &Tensor,
    targets: &Tensor,
    seed: u64,
) -> Result<f64> {
    let mut index = 0;
    median_ms(hidden.device(), || {
        optimizer.zero_grad()?;
        let hidden = hidden.f_detach()?.f_set_requires_grad(true)?;
        synchronize(hidden.device());
        let started = Instant::now();
        index += 1;
        layer.loss_with(&hidden, targets, &mut generator(seed, "timing", index))?.backward()?;
        Ok(started)
    })
}

/// Milliseconds for the exact 10 most probable classes of the first [`TOP_K_ROWS`] rows, median,
/// and the rows there were.
///
/// # Errors
/// The layer refused.
pub fn top_k_ms(layer: &dyn OutputLayer, hidden: &Tensor) -> Result<(f64, u64)> {
    let _guard = tch::no_grad_guard();
    let rows = TOP_K_ROWS.min(hidden.size()[0]);
    let hidden = hidden.f_narrow(0, 0, rows)?;
    let k = K.min(layer.vocab_size());
    let ms = median_ms(hidden.device(), || {
        let started = Instant::now();
        layer.top_k(&hidden, k)?;
        Ok(started)
    })?;
    Ok((ms, rows as u64))
}

/// Median time from the instant that a call returns to its end.
fn median_ms(device: Device, mut call: impl FnMut() -> Result<Instant>) -> Result<f64> {
    let mut times = Vec::with_capacity(CALLS);
    for round in 0..=CALLS {
        let started = call()?;
        synchronize(device);
        if round > 0 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}
