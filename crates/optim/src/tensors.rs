//! The rules in tensor operations: any device, any floating dtype, any strides.

use lexmax_kernels::optim::{Others, Rule};
use tch::{Kind, Tensor};

use crate::error::Result;

/// Moves a parameter and the tables of its state; without a gradient, as by one that is zero
/// everywhere.
pub(crate) fn update(
    rule: Rule,
    parameter: &mut Tensor,
    state: &mut [Tensor],
    gradient: Option<&Tensor>,
) -> Result<()> {
    let zero;
    let gradient = match gradient {
        Some(gradient) => gradient,
        None => {
            zero = scalar_like(0.0, parameter)?;
            &zero
        }
    };
    match (rule, state) {
        (Rule::Sgd { learning_rate, weight_decay }, []) => {
            if weight_decay != 0.0 {
                let _ = parameter.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
            }
            add(parameter, gradient, -learning_rate)
        }
        (Rule::Momentum { learning_rate, weight_decay, momentum, nesterov }, [v]) => {
            let _ = v.f_mul_scalar_(momentum)?;
            let _ = v.f_add_(gradient)?;
            if weight_decay != 0.0 {
                add(v, parameter, weight_decay)?;
            }
            if !nesterov {
                return add(parameter, v, -learning_rate);
            }
            // p - lr (g + w p + mu v), without a temporary for the bracket.
            if weight_decay != 0.0 {
                let _ = parameter.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
            }
            add(parameter, gradient, -learning_rate)?;
            add(parameter, v, -learning_rate * momentum)
        }
        (Rule::Adagrad { learning_rate, weight_decay, eps }, [s]) => {
            let decayed = penalised(gradient, parameter, weight_decay)?;
            let _ = s.f_addcmul_(&decayed, &decayed)?;
            let denominator = s.f_sqrt()?.f_add_scalar_(eps)?;
            add(parameter, &decayed.f_div(&denominator)?, -learning_rate)
        }
        (Rule::Adam { learning_rate, weight_decay, decoupled, beta1, beta2, eps, .. }, [m, v]) => {
            let (rate_correction, root_correction) = rule.corrections();
            if decoupled && weight_decay != 0.0 {
                let _ = parameter.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
            }
            let gradient = penalised(gradient, parameter, if decoupled { 0.0 } else { weight_decay })?;
            let _ = m.f_lerp_(&gradient, 1.0 - beta1)?;
            let _ = v.f_lerp_(&gradient.f_square()?, 1.0 - beta2)?;
            let denominator = v.f_sqrt()?.f_div_scalar_(root_correction)?.f_add_scalar_(eps)?;
            let direction = m.f_div_out(&denominator, &denominator)?;
            add(parameter, &direction, -learning_rate / rate_correction)
        }
        // A state is made with as many tables as its rule keeps.
        (rule, state) => Err(lexmax_kernels::KernelError::Length {
            op: "optimizer step",
            what: "the state",
            given: state.len(),
            expected: format!("{} tables", rule.tables()),
        }
        .into()),
    }
}

/// Moves some rows by their gradients: they are picked out, moved as small tables, and put back.
pub(crate) fn update_rows(
    rule: Rule,
    parameter: &mut Tensor,
    state: &mut [Tensor],
    rows: &Tensor,
    values: &Tensor,
    others: Others,
) -> Result<()> {
    let mut picked = parameter.f_index_select(0, rows)?;
    let mut picked_state = Vec::with_capacity(state.len());
    for table in state.iter() {
        picked_state.push(table.f_index_select(0, rows)?);
    }
    if others == Others::Move {
        update(rule, parameter, state, None)?;
    }
    update(rule, &mut picked, &mut picked_state, Some(values))?;
    let _ = parameter.f_index_copy_(0, rows, &picked)?;
    for (table, picked) in state.iter_mut().zip(&picked_state) {
        let _ = table.f_index_copy_(0, rows, picked)?;
    }
    Ok(())
}

/// Gradient with weight decay, `g + w p`.
fn penalised(gradient: &Tensor, parameter: &Tensor, weight_decay: f64) -> Result<Tensor> {
    if weight_decay == 0.0 {
        return Ok(gradient.shallow_clone());
    }
    Ok(match scaled_in_single(parameter, weight_decay)? {
        Some(mut penalty) => penalty.f_add_(gradient)?.f_to_kind(Kind::BFloat16)?,
        None => gradient.f_addcmul(parameter, &scalar_like(weight_decay, parameter)?)?,
    })
}

/// `tensor += factor other`. tch has no `alpha` for `add_`: a 0-d factor of `addcmul_` does it in
/// one pass and without a temporary.
fn add(tensor: &mut Tensor, other: &Tensor, factor: f64) -> Result<()> {
    let _ = match scaled_in_single(other, factor)? {
        Some(product) => tensor.f_add_(&product)?,
        None => tensor.f_addcmul_(other, &scalar_like(factor, tensor)?)?,
    };
    Ok(())
}

/// `factor` times a tensor of bf16, in f32: a 0-d factor has the dtype of the tensor, and a
/// learning rate in bf16 is off by up to a quarter of a percent, in the same direction at every
/// step. The sum with the product is rounded once.
fn scaled_in_single(tensor: &Tensor, factor: f64) -> Result<Option<Tensor>> {
    if tensor.f_kind()? != Kind::BFloat16 {
        return Ok(None);
    }
    Ok(Some(tensor.f_to_kind(Kind::Float)?.f_mul_scalar_(factor)?))
}

fn scalar_like(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_scalar_tensor(value, (like.f_kind()?, like.device()))?)
}
