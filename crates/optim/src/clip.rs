//! Clipping of gradients by their global norm.

use tch::{Device, Kind, Tensor};

use crate::error::{Result, check};
use crate::places::Places;
use crate::sparse::RowGradient;

/// Length of the runs whose norms are added in `f64`; within a run libtorch adds in the gradient's own kind.
const RUN: i64 = 4096;
/// How many numbers are turned to `f64` at a time: 512 KiB, which stay in a core's cache.
const BLOCK: i64 = 1 << 16;

/// Scales all gradients so that their joint L2 norm is at most `max` (Pascanu, Mikolov, Bengio, "On the difficulty of
/// training recurrent neural networks", 2013, arXiv 1211.5063), and returns the norm before.
///
/// ```text
/// norm = sqrt(sum over parameters and elements of g^2)
/// g    = g max / (norm + 1e-6)        where that factor is below 1
/// ```
///
/// as PyTorch's `clip_grad_norm_` does, but with the sum in `f64`: added up in f32, small squares of a large matrix get lost.
/// Where squares would leave the range of f32 though the gradients do not, they are made in `f64` too, and those of bf16 always.
/// Parameters without a gradient count as zero. Rows that occur twice in a row-sparse gradient are added up before they are
/// squared; the sum replaces the gradient, so that the optimizer finds it. A norm that is not finite is returned as it is, and no
/// gradient is scaled: what to do is the caller's choice.
/// Cost: one pass that reads the gradients (of sparse ones their rows) and, where they are too long, one that scales them in
/// place.
///
/// # Errors
/// `max` must be above 0 (infinity only measures). A gradient with several sparse dimensions; a parameter that is not dense; one
/// tensor under two names, whose gradient would be counted and scaled twice.
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

/// What gradients of a joint norm are multiplied by so that they are no longer than `max`: `max / (norm + 1e-6)`, at most 1. For
/// a norm that is not finite it is 1, as [`clip_grad_norm`] scales nothing then.
///
/// # Errors
/// `max` must be above 0 (infinity clips nothing), where PyTorch goes on: 0 would erase every gradient, a negative number
/// turn it round.
pub fn clip_factor(norm: f64, max: f64) -> Result<f64> {
    check_max(max)?;
    Ok(if norm.is_finite() { (max / (norm + 1e-6)).min(1.0) } else { 1.0 })
}

fn check_max(max: f64) -> Result<()> {
    check("clip max norm", max, max > 0.0, "a number > 0")
}

/// The numbers of every gradient there is; those of a sparse one are its own memory: scaling them scales it.
fn values(parameters: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    let (mut gradients, mut places) = (Vec::with_capacity(parameters.len()), Places::default());
    for (name, parameter) in parameters {
        places.take(name, parameter)?;
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

/// Sum of squares of the numbers of one gradient.
fn square_norm(values: &Tensor) -> Result<f64> {
    let flat = values.f_reshape(-1)?;
    let kind = flat.f_kind()?;
    if matches!(kind, Kind::Float | Kind::Double) {
        let sum = by_runs(&flat)?;
        // In f32 the square of 2e19 is infinite and that of 1e-23 is 0: a sum that may have met such squares is made again.
        let lost = flat.numel() as f64 * f64::from(f32::MIN_POSITIVE);
        if kind == Kind::Double || (sum.is_finite() && sum * 1e-8 >= lost) {
            return Ok(sum);
        }
    }
    in_double(&flat)
}

/// By the norms of runs in the gradient's own kind, whose squares are added in `f64`: three times as fast as [`in_double`].
fn by_runs(flat: &Tensor) -> Result<f64> {
    let length = flat.numel() as i64;
    let whole = length - length % RUN;
    let mut sum = 0.0;
    if whole > 0 {
        let runs = flat.f_narrow(0, 0, whole)?.f_view([-1, RUN])?;
        sum += sum_of_squares(&runs.f_norm_scalaropt_dim(2.0, 1, false)?)?;
    }
    if whole < length {
        sum += sum_of_squares(&flat.f_narrow(0, whole, length - whole)?.f_norm()?)?;
    }
    Ok(sum)
}

fn sum_of_squares(norms: &Tensor) -> Result<f64> {
    Ok(norms.f_to_kind(Kind::Double)?.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?)
}

/// With every number in `f64` before it is squared.
fn in_double(flat: &Tensor) -> Result<f64> {
    if flat.device() != Device::Cpu {
        let norm = flat.f_norm_scalaropt_dtype(2.0, Kind::Double)?.f_double_value(&[])?;
        return Ok(norm * norm);
    }
    // On a CPU libtorch would copy all numbers at once for that.
    let (length, mut start, mut sum) = (flat.numel() as i64, 0, 0.0);
    while start < length {
        let block = flat.f_narrow(0, start, BLOCK.min(length - start))?.f_to_kind(Kind::Double)?;
        sum += block.f_dot(&block)?.f_double_value(&[])?;
        start += BLOCK;
    }
    Ok(sum)
}
