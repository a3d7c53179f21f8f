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
    let count = shape.iter().product::<i64>();
    let range = range as f32;
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-range..=range)).collect();
    let parameter = path.f_zeros(name, shape)?;
    tch::no_grad(|| parameter.shallow_clone().f_copy_(&Tensor::f_from_slice(&values)?.f_view(shape)?))?;
    Ok(parameter)
}
