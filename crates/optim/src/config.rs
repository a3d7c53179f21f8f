//! Which optimizer, with which constants: what a configuration file holds.

use serde::{Deserialize, Serialize};

use crate::error::{OptimError, Result, check};

/// An optimizer by name with its constants; in a file `{ kind = "adam", beta2 = 0.99 }`, what is left out has the
/// default, and an unknown key is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent, with or without momentum.
    Sgd(SgdConfig),
    /// Adagrad.
    Adagrad(AdagradConfig),
    /// Adam or, with decoupled decay, AdamW.
    Adam(AdamConfig),
}

/// Stochastic gradient descent as PyTorch defines it, for the gradient `g`, the momentum `mu` and the weight decay
/// `w`:
///
/// ```text
/// g' = g + w p
/// v  = mu v + g'                      (v starts at 0)
/// p  = p - lr v                       plain; without momentum v = g'
/// p  = p - lr (g' + mu v)             nesterov
/// ```
///
/// State: `momentum` (the shape of the parameter), with momentum only. Row-sparse gradients: with neither momentum
/// nor weight decay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SgdConfig {
    /// `mu` in `[0, 1)`.
    pub momentum: f64,
    /// Look ahead by one step of momentum; needs `momentum > 0`.
    pub nesterov: bool,
    /// L2 penalty `w >= 0`, added to the gradient.
    pub weight_decay: f64,
}

/// Adagrad (Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
/// 2011), for the gradient `g` and the weight decay `w`:
///
/// ```text
/// g' = g + w p
/// s  = s + g'^2                       (s starts at initial_accumulator)
/// p  = p - lr g' / (sqrt(s) + eps)
/// ```
///
/// State: `square_sum` (the shape of the parameter). Row-sparse gradients: without weight decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdagradConfig {
    /// Added to the root; at least the smallest normal `f32`, so that a zero gradient is never 0/0.
    pub eps: f64,
    /// Where every sum of squares starts, `>= 0`.
    pub initial_accumulator: f64,
    /// L2 penalty `w >= 0`, added to the gradient.
    pub weight_decay: f64,
}

/// Adam (Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv 1412.6980) and AdamW (Loshchilov,
/// Hutter, "Decoupled Weight Decay Regularization", 2019, arXiv 1711.05101), at a parameter's step `t = 1, 2, ...`:
///
/// ```text
/// g' = g + w p                        L2 (decoupled = false)
/// p  = p (1 - lr w), g' = g           AdamW (decoupled = true)
/// m  = beta1 m + (1 - beta1) g'
/// v  = beta2 v + (1 - beta2) g'^2
/// p  = p - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// State: `first_moment`, `second_moment` (the shape of the parameter) and `step` (one `i64`: a parameter counts the
/// steps in which it had a gradient). No row-sparse form: moments decay in every row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the first moment, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root; at least the smallest normal `f32`, so that a zero gradient is never 0/0.
    pub eps: f64,
    /// Weight decay `w >= 0`.
    pub weight_decay: f64,
    /// True: the decay shrinks the parameter itself (AdamW); false: it is an L2 penalty in the gradient.
    pub decoupled: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Sgd(SgdConfig::default())
    }
}

impl Default for AdagradConfig {
    fn default() -> Self {
        AdagradConfig { eps: 1e-10, initial_accumulator: 0.0, weight_decay: 0.0 }
    }
}

impl Default for AdamConfig {
    fn default() -> Self {
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

impl OptimizerConfig {
    /// Checks every constant; the error names the first one out of its range.
    pub fn validate(&self) -> Result<()> {
        match self {
            OptimizerConfig::Sgd(sgd) => {
                fraction("sgd.momentum", sgd.momentum)?;
                non_negative("sgd.weight_decay", sgd.weight_decay)?;
                if sgd.nesterov && sgd.momentum == 0.0 {
                    return Err(OptimError::Setting {
                        name: "sgd.nesterov",
                        given: "true".into(),
                        expected: "false where sgd.momentum is 0",
                    });
                }
                Ok(())
            }
            OptimizerConfig::Adagrad(adagrad) => {
                normal("adagrad.eps", adagrad.eps)?;
                non_negative("adagrad.initial_accumulator", adagrad.initial_accumulator)?;
                non_negative("adagrad.weight_decay", adagrad.weight_decay)
            }
            OptimizerConfig::Adam(adam) => {
                fraction("adam.beta1", adam.beta1)?;
                fraction("adam.beta2", adam.beta2)?;
                normal("adam.eps", adam.eps)?;
                non_negative("adam.weight_decay", adam.weight_decay)
            }
        }
    }
}

fn fraction(name: &'static str, given: f64) -> Result<()> {
    check(name, given, (0.0..1.0).contains(&given), "a number in [0, 1)")
}

fn non_negative(name: &'static str, given: f64) -> Result<()> {
    check(name, given, given.is_finite() && given >= 0.0, "a finite number >= 0")
}

fn normal(name: &'static str, given: f64) -> Result<()> {
    let fits = given.is_finite() && given >= f64::from(f32::MIN_POSITIVE);
    check(name, given, fits, "a finite number >= 1.2e-38, which f32 does not round to 0")
}
