//! Starting values of backbone parameters, each from a generator of its own.

use lexmax_kernels::seed::generator;
use lexmax_output::check_init_range;
use rand::RngExt;
use tch::{Tensor, nn};

use crate::Result;

/// A trainable parameter with elements uniform(-range, range).
///
/// # Errors
/// A range that f32 cannot be drawn from; libtorch refused.
pub(crate) fn uniform(
    path: &nn::Path<'_>,
    name: &str,
    shape: &[i64],
    range: f64,
    seed: u64,
) -> Result<Tensor> {
    check_init_range(range)?;
    let mut rng = generator(seed, &format!("init/backbone/{name}"), 0);
    let range = range as f32;
    let parameter = path.f_zeros(name, shape)?;
    let _guard = tch::no_grad_guard();
    // A part at a time: an embedding of gigabytes is not held twice.
    let (all, count) = (parameter.f_view([-1])?, shape.iter().product::<i64>());
    for start in (0..count).step_by(DRAWN_AT_ONCE) {
        let len = (count - start).min(DRAWN_AT_ONCE as i64);
        let values: Vec<f32> = (0..len).map(|_| rng.random_range(-range..=range)).collect();
        all.f_narrow(0, start, len)?.f_copy_(&Tensor::f_from_slice(&values)?)?;
    }
    Ok(parameter)
}

/// Start values that are held beside the parameter.
const DRAWN_AT_ONCE: usize = 1 << 20;
