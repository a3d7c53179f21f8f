//! Adagrad: each element's rate falls with the sum of its squared gradients.

use tch::Tensor;

use crate::config::AdagradConfig;
use crate::error::Result;
use crate::pieces::for_pieces;
use crate::rule::{Rule, scalar_like};

/// See [`AdagradConfig`] for the formulas.
#[derive(Debug)]
pub(crate) struct Adagrad {
    config: AdagradConfig,
    square_sum: Tensor,
}

impl Adagrad {
    pub(crate) fn new(config: &AdagradConfig, parameter: &Tensor) -> Result<Self> {
        let square_sum = parameter.f_full_like(config.initial_accumulator)?;
        Ok(Adagrad { config: config.clone(), square_sum })
    }

    /// `g / (sqrt(s) + eps)`, in one temporary.
    fn direction(&self, gradient: &Tensor, square_sum: &Tensor) -> Result<Tensor> {
        let denominator = square_sum.f_sqrt()?.f_add_scalar_(self.config.eps)?;
        let _ = gradient.f_div_out(&denominator, &denominator)?;
        Ok(denominator)
    }
}

impl Rule for Adagrad {
    fn update(&mut self, parameter: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<()> {
        let weight_decay = self.config.weight_decay;
        let decay = scalar_like(weight_decay, parameter)?;
        let minus_lr = scalar_like(-learning_rate, parameter)?;
        for_pieces([parameter, gradient, &self.square_sum], |[mut p, mut g, mut s]| {
            if weight_decay != 0.0 {
                g = g.f_addcmul(&p, &decay)?;
            }
            let _ = s.f_addcmul_(&g, &g)?;
            let _ = p.f_addcmul_(&self.direction(&g, &s)?, &minus_lr)?;
            Ok(())
        })
    }

    fn row_sparse(&self) -> std::result::Result<(), &'static str> {
        if self.config.weight_decay == 0.0 {
            Ok(())
        } else {
            Err("weight decay moves every row at every step")
        }
    }

    fn update_rows(
        &mut self,
        parameter: &mut Tensor,
        rows: &Tensor,
        values: &Tensor,
        learning_rate: f64,
    ) -> Result<()> {
        let _ = self.square_sum.f_index_add_(0, rows, &values.f_square()?)?;
        let square_sum = self.square_sum.f_index_select(0, rows)?;
        let mut step = self.direction(values, &square_sum)?;
        let _ = parameter.f_index_add_(0, rows, &step.f_mul_scalar_(-learning_rate)?)?;
        Ok(())
    }

    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("square_sum", &self.square_sum)]
    }
}
