//! Configuration of an optimizer: the rule and its constants.

use lexmax_kernels::optim::Rule;
use serde::{Deserialize, Serialize};

use crate::error::{OptimError, Result, check};

/// An optimizer by name with its constants; in a file `{ kind = "adam", beta2 = 0.99 }`, what is
/// left out has the default, and an unknown key is an error.
///
/// # Row-sparse gradients
///
/// A gradient that is sparse in its first dimension means zero in the rows that it leaves out, and
/// gives the same bits as the dense one with these zeros (on a CPU in f32 and f64; to rounding
/// elsewhere). Where a rule moves rows whose gradient is zero (momentum, weight decay, every Adam)
/// all rows are moved in place, at the cost of a pass over parameter and state; where it does not,
/// only the rows of the gradient cost anything. A dense gradient is never made.
///
/// With `lazy = true` a rule does nothing to rows that the gradient leaves out: their parameters,
/// momentum and moments stay until the row is touched again, and a touched row makes the step of
/// the formula once. That differs from the dense rule: a row that was left out `k` times has lost
/// neither `mu^k` of its momentum nor `beta^k` of its moments, nor shrunk `k` times, so rare rows
/// move by older momentum and decay less. Adam's `t` counts the steps of the parameter, not those
/// of the row. Dense gradients touch every row: `lazy` does not change what they do.
///
/// LazyAdam of TensorFlow Addons and `SparseAdam` of PyTorch treat rows in this way too, but add
/// `eps` to the root before its correction: their step is
/// `lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)`, which is the one of [`AdamConfig`]
/// with `eps / sqrt(1 - beta2^t)` in place of `eps`. The two differ in the first steps where `eps`
/// counts beside the root, and not at all in the limit.
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

/// Stochastic gradient descent as PyTorch defines it, for the gradient `g`, the momentum `mu` and
/// the weight decay `w`:
///
/// ```text
/// g' = g + w p
/// v  = mu v + g'                      (v starts at 0)
/// p  = p - lr v                       plain; without momentum v = g'
/// p  = p - lr (g' + mu v)             nesterov
/// ```
///
/// State: `momentum` (the shape of the parameter), with momentum only. Row-sparse gradients cost
/// their rows only without momentum and weight decay, or lazy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SgdConfig {
    /// `mu` in `[0, 1)`.
    pub momentum: f64,
    /// Look ahead by one step of momentum; needs `momentum > 0`.
    pub nesterov: bool,
    /// L2 penalty `w >= 0`, added to the gradient.
    pub weight_decay: f64,
    /// Rows that a row-sparse gradient leaves out stay as they are: see [`OptimizerConfig`].
    #[serde(skip_serializing_if = "is_false")]
    pub lazy: bool,
}

/// Adagrad (Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
/// Optimization", 2011), for the gradient `g` and the weight decay `w`:
///
/// ```text
/// g' = g + w p
/// s  = s + g'^2                       (s starts at initial_accumulator)
/// p  = p - lr g' / (sqrt(s) + eps)
/// ```
///
/// State: `square_sum` (the shape of the parameter). Row-sparse gradients cost their rows only
/// without weight decay, or lazy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdagradConfig {
    /// Added to the root; at least the smallest normal `f32`, so that a zero gradient is never 0/0.
    pub eps: f64,
    /// Initial value of every sum of squares, `>= 0`.
    pub initial_accumulator: f64,
    /// L2 penalty `w >= 0`, added to the gradient.
    pub weight_decay: f64,
    /// Rows that a row-sparse gradient leaves out stay as they are: see [`OptimizerConfig`].
    #[serde(skip_serializing_if = "is_false")]
    pub lazy: bool,
}

/// Adam (Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv 1412.6980) and AdamW
/// (Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, arXiv 1711.05101), at a
/// parameter's step `t = 1, 2, ...`:
///
/// ```text
/// g' = g + w p                        L2 (decoupled = false)
/// p  = p (1 - lr w), g' = g           AdamW (decoupled = true)
/// m  = beta1 m + (1 - beta1) g'
/// v  = beta2 v + (1 - beta2) g'^2
/// p  = p - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// State: `first_moment`, `second_moment` (the shape of the parameter) and `step` (one `i64`: a
/// parameter counts the steps in which it had a gradient). Row-sparse gradients cost their rows
/// only where it is lazy: moments decay in every row else.
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
    /// True: the decay shrinks the parameter itself (AdamW); false: it is an L2 penalty in the
    /// gradient.
    pub decoupled: bool,
    /// Rows that a row-sparse gradient leaves out stay as they are: see [`OptimizerConfig`].
    #[serde(skip_serializing_if = "is_false")]
    pub lazy: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Sgd(SgdConfig::default())
    }
}

impl Default for AdagradConfig {
    fn default() -> Self {
        AdagradConfig { eps: 1e-10, initial_accumulator: 0.0, weight_decay: 0.0, lazy: false }
    }
}

impl Default for AdamConfig {
    fn default() -> Self {
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false, lazy: false }
    }
}

impl OptimizerConfig {
    /// Whether a step leaves rows alone that a row-sparse gradient leaves out, so that it costs the
    /// gradient's rows only: SGD without momentum and decay, Adagrad without decay, and everything
    /// lazy.
    pub fn leaves_rows(&self) -> bool {
        self.lazy() || self.rule(1.0, 1.0).rests_at_zero()
    }

    pub(crate) fn lazy(&self) -> bool {
        match self {
            OptimizerConfig::Sgd(sgd) => sgd.lazy,
            OptimizerConfig::Adagrad(adagrad) => adagrad.lazy,
            OptimizerConfig::Adam(adam) => adam.lazy,
        }
    }

    /// The constants of one step, for a parameter's step `1, 2, ...`, which only Adam needs.
    pub(crate) fn rule(&self, learning_rate: f64, step: f64) -> Rule {
        match *self {
            OptimizerConfig::Sgd(SgdConfig { momentum: 0.0, weight_decay, .. }) => {
                Rule::Sgd { learning_rate, weight_decay }
            }
            OptimizerConfig::Sgd(SgdConfig { momentum, nesterov, weight_decay, .. }) => {
                Rule::Momentum { learning_rate, weight_decay, momentum, nesterov }
            }
            OptimizerConfig::Adagrad(AdagradConfig { eps, weight_decay, .. }) => {
                Rule::Adagrad { learning_rate, weight_decay, eps }
            }
            OptimizerConfig::Adam(AdamConfig { beta1, beta2, eps, weight_decay, decoupled, .. }) => {
                Rule::Adam { learning_rate, weight_decay, decoupled, beta1, beta2, eps, step }
            }
        }
    }

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

/// Whether a key is left out when written: files without it, and the run ids made from them, stay
/// as they were before the key existed.
fn is_false(value: &bool) -> bool {
    !value
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
