//! Clipping of gradients by their global norm.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::optim::square_sum;
use tch::{Device, Kind, Tensor};

use crate::addresses::Addresses;
use crate::error::{Result, check};
use crate::sparse::RowGradient;
use crate::threads::threads;

/// Elements of bf16 converted to `f64` at a time: 512 KiB, which stay in a core's cache.
const BLOCK: i64 = 1 << 16;

/// Scales all gradients so that their joint L2 norm is at most `max` (Pascanu, Mikolov, Bengio, "On
/// the difficulty of training recurrent neural networks", 2013, arXiv 1211.5063), and returns the
/// norm before.
///
/// ```text
/// norm = sqrt(sum over parameters and elements of g^2)
/// g    = g max / (norm + 1e-6)        where that factor is below 1
/// ```
///
/// as PyTorch's `clip_grad_norm_` does, but with squares and sum in `f64`: in f32 small squares of
/// a large matrix get lost, and those of numbers like 1e20 or 1e-23 leave the range. Parameters
/// without a gradient count as zero. Rows that occur twice in a row-sparse gradient are added up
/// before they are squared; the sum replaces the gradient, so that the optimizer finds it. A norm
/// that is not finite is returned as it is, and no gradient is scaled: what to do is the caller's
/// choice. Cost: one pass that reads the gradients (of sparse ones their rows) and, where they are
/// too long, one that scales them in place.
///
/// # Errors
/// `max` must be above 0 (infinity only measures). A gradient with several sparse dimensions; a
/// parameter that is not dense; one tensor under two names, whose gradient would be counted and
/// scaled twice.
pub fn clip_grad_norm(parameters: &[(String, Tensor)], max: f64) -> Result<f64> {
    check_max(max)?;
    let _guard = tch::no_grad_guard();
    let mut gradients = values(parameters)?;
    let norm = norm(&gradients)?;
    let factor = clip_factor(norm, max)?;
    if factor < 1.0 {
        for gradient in &mut gradients {
            let _ = gradient.f_mul_scalar_(factor)?;
        }
    }
    Ok(norm)
}

/// The joint L2 norm of all gradients, as [`clip_grad_norm`] counts it.
///
/// # Errors
/// As [`clip_grad_norm`].
///
/// ```
/// use lexmax_optim::{Optimizer, OptimizerConfig, clip_factor, grad_norm};
/// use tch::{Kind, Tensor};
///
/// let weight = Tensor::from_slice(&[3.0_f32, 4.0]).set_requires_grad(true);
/// let parameters = vec![("weight".to_string(), weight.shallow_clone())];
/// let named = vec![("weight".to_string(), weight.shallow_clone())];
/// let mut optimizer = Optimizer::new(parameters, &OptimizerConfig::default())?;
/// (weight.square() * 0.5).sum(Kind::Float).backward();
/// let norm = grad_norm(&named)?;
/// assert_eq!(norm, 5.0);
/// optimizer.step_scaled(1.0, clip_factor(norm, 1.0)?)?;
/// assert!((weight.double_value(&[0]) - 2.4).abs() < 1e-6);
/// # Ok::<(), lexmax_optim::OptimError>(())
/// ```
pub fn grad_norm(parameters: &[(String, Tensor)]) -> Result<f64> {
    let _guard = tch::no_grad_guard();
    norm(&values(parameters)?)
}

/// Clip factor of gradients with a joint norm, `max / (norm + 1e-6)`, at most 1: times it their
/// norm is at most `max`. For a norm that is not finite it is 1, as [`clip_grad_norm`] scales
/// nothing then.
///
/// # Errors
/// `max` must be above 0 (infinity clips nothing), where PyTorch goes on: 0 would erase every
/// gradient, a negative number turn it round.
pub fn clip_factor(norm: f64, max: f64) -> Result<f64> {
    check_max(max)?;
    Ok(if norm.is_finite() { (max / (norm + 1e-6)).min(1.0) } else { 1.0 })
}

fn check_max(max: f64) -> Result<()> {
    check("clip max norm", max, max > 0.0, "a number > 0")
}

/// Elements of every gradient there is; those of a sparse one are its own memory: scaling them
/// scales it.
fn values(parameters: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    let (mut gradients, mut addresses) = (Vec::with_capacity(parameters.len()), Addresses::default());
    for (name, parameter) in parameters {
        addresses.take(name, parameter)?;
        let mut gradient = parameter.f_grad()?;
        if gradient.defined() {
            gradients.push(match gradient.is_sparse() {
                true => RowGradient::of(name, &mut gradient)?.values,
                false => gradient,
            });
        }
    }
    Ok(gradients)
}

fn norm(gradients: &[Tensor]) -> Result<f64> {
    let mut square_sum = 0.0;
    for gradient in gradients {
        square_sum += square_norm(gradient)?;
    }
    Ok(square_sum.sqrt())
}

/// Sum of squares of the elements of one gradient, each in `f64` before it is squared.
fn square_norm(values: &Tensor) -> Result<f64> {
    if values.device() != Device::Cpu {
        let norm = values.f_norm_scalaropt_dtype(2.0, Kind::Double)?.f_double_value(&[])?;
        return Ok(norm * norm);
    }
    let flat = values.f_contiguous()?.f_view(-1)?;
    match flat.f_kind()? {
        Kind::Float => Ok(square_sum(slice::<f32>(&flat)?, threads())),
        Kind::Double => Ok(square_sum(slice::<f64>(&flat)?, threads())),
        _ => {
            let (length, mut start, mut sum) = (flat.numel() as i64, 0, 0.0);
            while start < length {
                let block = flat.f_narrow(0, start, BLOCK.min(length - start))?.f_to_kind(Kind::Double)?;
                sum += square_sum(slice::<f64>(&block)?, threads());
                start += BLOCK;
            }
            Ok(sum)
        }
    }
}
