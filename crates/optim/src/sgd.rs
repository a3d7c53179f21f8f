//! Stochastic gradient descent with momentum, Nesterov's momentum and weight decay.

use tch::Tensor;

use crate::config::SgdConfig;
use crate::error::Result;
use crate::pieces::for_pieces;
use crate::rule::{Rule, scalar_like};

/// See [`SgdConfig`] for the formulas.
#[derive(Debug)]
pub(crate) struct Sgd {
    config: SgdConfig,
    momentum: Option<Tensor>,
}

impl Sgd {
    pub(crate) fn new(config: &SgdConfig, parameter: &Tensor) -> Result<Self> {
        let momentum = if config.momentum > 0.0 { Some(parameter.f_zeros_like()?) } else { None };
        Ok(Sgd { config: config.clone(), momentum })
    }
}

impl Rule for Sgd {
    fn update(&mut self, parameter: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<()> {
        let SgdConfig { momentum: mu, nesterov, weight_decay } = self.config;
        let shrink = 1.0 - learning_rate * weight_decay;
        let minus_lr = scalar_like(-learning_rate, parameter)?;
        let Some(momentum) = &self.momentum else {
            if weight_decay == 0.0 {
                let _ = parameter.f_addcmul_(gradient, &minus_lr)?;
                return Ok(());
            }
            return for_pieces([parameter, gradient], |[mut p, g]| {
                let _ = p.f_mul_scalar_(shrink)?.f_addcmul_(&g, &minus_lr)?;
                Ok(())
            });
        };
        let decay = scalar_like(weight_decay, parameter)?;
        let keep = scalar_like(mu, parameter)?;
        let minus_lr_mu = scalar_like(-learning_rate * mu, parameter)?;
        for_pieces([parameter, gradient, momentum], |[mut p, g, mut v]| {
            let _ = g.f_addcmul_out(&v, &v, &keep)?;
            if weight_decay != 0.0 {
                let _ = v.f_addcmul_(&p, &decay)?;
            }
            if !nesterov {
                let _ = p.f_addcmul_(&v, &minus_lr)?;
                return Ok(());
            }
            // p - lr (g + w p + mu v), without a temporary for the bracket.
            if weight_decay != 0.0 {
                let _ = p.f_mul_scalar_(shrink)?;
            }
            let _ = p.f_addcmul_(&g, &minus_lr)?.f_addcmul_(&v, &minus_lr_mu)?;
            Ok(())
        })
    }

    fn row_sparse(&self) -> std::result::Result<(), &'static str> {
        if self.momentum.is_some() {
            Err("momentum moves every row at every step")
        } else if self.config.weight_decay != 0.0 {
            Err("weight decay moves every row at every step")
        } else {
            Ok(())
        }
    }

    fn update_rows(
        &mut self,
        parameter: &mut Tensor,
        rows: &Tensor,
        values: &Tensor,
        learning_rate: f64,
    ) -> Result<()> {
        let _ = parameter.f_index_add_(0, rows, &values.f_mul_scalar(-learning_rate)?)?;
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        self.momentum.iter().map(|momentum| ("momentum", momentum)).collect()
    }
}
