//! Adam with bias correction, and AdamW.

use tch::{Device, Kind, Tensor};

use crate::config::AdamConfig;
use crate::error::Result;
use crate::pieces::for_pieces;
use crate::rule::{Rule, scalar_like};

/// See [`AdamConfig`] for the formulas.
#[derive(Debug)]
pub(crate) struct Adam {
    config: AdamConfig,
    first_moment: Tensor,
    second_moment: Tensor,
    /// One `i64`, kept as a tensor to be part of the state.
    step: Tensor,
}

impl Adam {
    pub(crate) fn new(config: &AdamConfig, parameter: &Tensor) -> Result<Self> {
        Ok(Adam {
            config: config.clone(),
            first_moment: parameter.f_zeros_like()?,
            second_moment: parameter.f_zeros_like()?,
            step: Tensor::f_scalar_tensor(0, (Kind::Int64, Device::Cpu))?,
        })
    }
}

impl Rule for Adam {
    fn update(&mut self, parameter: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<()> {
        let AdamConfig { beta1, beta2, eps, weight_decay, decoupled } = self.config;
        let step = self.step.f_add_scalar_(1)?.f_int64_value(&[])? as f64;
        let root_correction = (1.0 - beta2.powf(step)).sqrt();
        let minus_rate = scalar_like(-learning_rate / (1.0 - beta1.powf(step)), parameter)?;
        let decay = scalar_like(weight_decay, parameter)?;
        let tensors = [&*parameter, gradient, &self.first_moment, &self.second_moment];
        for_pieces(tensors, |[mut p, mut g, mut m, mut v]| {
            if weight_decay != 0.0 && decoupled {
                let _ = p.f_mul_scalar_(1.0 - learning_rate * weight_decay)?;
            } else if weight_decay != 0.0 {
                g = g.f_addcmul(&p, &decay)?;
            }
            let _ = m.f_lerp_(&g, 1.0 - beta1)?;
            let scratch = g.f_square()?;
            let _ = v.f_lerp_(&scratch, 1.0 - beta2)?;
            let _ = v.f_sqrt_out(&scratch)?.f_div_scalar_(root_correction)?.f_add_scalar_(eps)?;
            let _ = m.f_div_out(&scratch, &scratch)?;
            let _ = p.f_addcmul_(&scratch, &minus_rate)?;
            Ok(())
        })
    }

    fn row_sparse(&self) -> std::result::Result<(), &'static str> {
        Err("its moments decay in every row at every step")
    }

    fn update_rows(&mut self, _: &mut Tensor, _: &Tensor, _: &Tensor, _: f64) -> Result<()> {
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![
            ("first_moment", &self.first_moment),
            ("second_moment", &self.second_moment),
            ("step", &self.step),
        ]
    }
}
