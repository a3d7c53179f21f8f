//! State of an optimizer for one parameter: tables of its shape, and Adam's step count.

use lexmax_kernels::optim::Rule;
use tch::{Device, Kind, Tensor};

use crate::config::OptimizerConfig;
use crate::error::Result;

/// The state of one parameter.
#[derive(Debug)]
pub(crate) struct State {
    /// Tables of the parameter's shape, in the order of the kernels' rule.
    pub tables: Vec<Tensor>,
    names: &'static [&'static str],
    /// One `i64`, kept as a tensor to be part of the state; where the rule counts.
    step: Option<Tensor>,
}

impl State {
    /// A fresh state.
    pub fn new(config: &OptimizerConfig, parameter: &Tensor) -> Result<Self> {
        let (names, start): (&'static [&'static str], f64) = match config {
            OptimizerConfig::Sgd(sgd) if sgd.momentum > 0.0 => (&["momentum"], 0.0),
            OptimizerConfig::Sgd(_) => (&[], 0.0),
            OptimizerConfig::Adagrad(adagrad) => (&["square_sum"], adagrad.initial_accumulator),
            OptimizerConfig::Adam(_) => (&["first_moment", "second_moment"], 0.0),
        };
        let mut tables = Vec::with_capacity(names.len());
        for _ in names {
            tables.push(parameter.f_full_like(start)?);
        }
        let counts = matches!(config, OptimizerConfig::Adam(_));
        let step = if counts { Some(Tensor::f_scalar_tensor(0, (Kind::Int64, Device::Cpu))?) } else { None };
        Ok(Self { tables, names, step })
    }

    /// The constants of the next step, which [`State::count_step`] counts when it is made.
    pub fn next_step(&self, config: &OptimizerConfig, learning_rate: f64) -> Result<Rule> {
        let step = match &self.step {
            Some(step) => (step.f_int64_value(&[])? + 1) as f64,
            None => 0.0,
        };
        Ok(config.rule(learning_rate, step))
    }

    /// Counts a step that was made, where the rule counts.
    pub fn count_step(&mut self) -> Result<()> {
        if let Some(step) = &mut self.step {
            let _ = step.f_add_scalar_(1)?;
        }
        Ok(())
    }

    /// The tensors of the state, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let tables = self.names.iter().copied().zip(&self.tables);
        tables.chain(self.step.iter().map(|step| ("step", step)))
    }
}
