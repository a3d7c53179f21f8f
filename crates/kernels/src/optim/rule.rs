//! Update rules: the constants of one step, and the arithmetic of one element.

use crate::element::Element;

/// One step of an optimizer with all its constants, for a parameter `p`, a gradient `g` and tables
/// of state:
///
/// ```text
/// Sgd        g' = g + w p;  p = p - lr g'
/// Momentum   g' = g + w p;  v = mu v + g';  p = p - lr v, or p - lr (g' + mu v) with nesterov
/// Adagrad    g' = g + w p;  s = s + g'^2;   p = p - lr g' / (sqrt(s) + eps)
/// Adam       g' = g + w p, or p = p (1 - lr w) and g' = g where the decay is decoupled;
///            m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2;
///            p = p - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// Tables of state, each of the parameter's shape: none, `v`, `s`, and `m` before `v`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Rule {
    /// Gradient descent.
    Sgd { learning_rate: f64, weight_decay: f64 },
    /// Gradient descent with momentum `mu`.
    Momentum { learning_rate: f64, weight_decay: f64, momentum: f64, nesterov: bool },
    /// Adagrad.
    Adagrad { learning_rate: f64, weight_decay: f64, eps: f64 },
    /// Adam at step `t = 1, 2, ...`.
    Adam {
        learning_rate: f64,
        weight_decay: f64,
        decoupled: bool,
        beta1: f64,
        beta2: f64,
        eps: f64,
        step: f64,
    },
}

impl Rule {
    /// Number of the rule's tables of state.
    pub fn tables(self) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } | Self::Adagrad { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// Whether a gradient of zero changes nothing, neither the parameter nor the state.
    ///
    /// ```
    /// use lexmax_kernels::optim::Rule;
    /// assert!(Rule::Sgd { learning_rate: 0.1, weight_decay: 0.0 }.rests_at_zero());
    /// assert!(!Rule::Sgd { learning_rate: 0.1, weight_decay: 0.01 }.rests_at_zero());
    /// ```
    pub fn rests_at_zero(self) -> bool {
        match self {
            Self::Sgd { weight_decay, .. } | Self::Adagrad { weight_decay, .. } => weight_decay == 0.0,
            Self::Momentum { .. } | Self::Adam { .. } => false,
        }
    }

    /// `1 - beta1^t` and `sqrt(1 - beta2^t)` of Adam; both are 1 for other rules.
    pub fn corrections(self) -> (f64, f64) {
        match self {
            Self::Adam { beta1, beta2, step, .. } => {
                (1.0 - beta1.powf(step), (1.0 - beta2.powf(step)).sqrt())
            }
            _ => (1.0, 1.0),
        }
    }

    /// Moves matching stretches of the parameter and of the tables that the rule keeps by the
    /// elements of `gradient`.
    #[inline(always)]
    pub(super) fn apply<T: Element>(
        self,
        (rate_correction, root_correction): (f64, f64),
        parameter: &mut [T],
        first: &mut [T],
        second: &mut [T],
        gradient: impl Iterator<Item = T>,
    ) {
        let number = T::from_f64;
        match self {
            Self::Sgd { learning_rate, weight_decay } => {
                let (lr, w) = (number(learning_rate), number(weight_decay));
                let decays = weight_decay != 0.0;
                for (p, g) in parameter.iter_mut().zip(gradient) {
                    let g = if decays { g + w * *p } else { g };
                    *p = *p - lr * g;
                }
            }
            Self::Momentum { learning_rate, weight_decay, momentum, nesterov } => {
                let (lr, w, mu) = (number(learning_rate), number(weight_decay), number(momentum));
                let decays = weight_decay != 0.0;
                for ((p, v), g) in parameter.iter_mut().zip(first).zip(gradient) {
                    let g = if decays { g + w * *p } else { g };
                    *v = mu * *v + g;
                    *p = *p - lr * if nesterov { g + mu * *v } else { *v };
                }
            }
            Self::Adagrad { learning_rate, weight_decay, eps } => {
                let (lr, w, eps) = (number(learning_rate), number(weight_decay), number(eps));
                let decays = weight_decay != 0.0;
                for ((p, s), g) in parameter.iter_mut().zip(first).zip(gradient) {
                    let g = if decays { g + w * *p } else { g };
                    *s = *s + g * g;
                    *p = *p - lr * (g / (s.root() + eps));
                }
            }
            Self::Adam { learning_rate, weight_decay, decoupled, beta1, beta2, eps, .. } => {
                let rate = number(learning_rate / rate_correction);
                let shrink = number(1.0 - if decoupled { learning_rate * weight_decay } else { 0.0 });
                let (w, eps, scale) = (number(weight_decay), number(eps), number(1.0 / root_correction));
                let (beta1, rest1) = (number(beta1), number(1.0 - beta1));
                let (beta2, rest2) = (number(beta2), number(1.0 - beta2));
                let penalises = weight_decay != 0.0 && !decoupled;
                for (((p, m), v), g) in parameter.iter_mut().zip(first).zip(second).zip(gradient) {
                    let g = if penalises { g + w * *p } else { g };
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * (g * g);
                    *p = *p * shrink - rate * (*m / (v.root() * scale + eps));
                }
            }
        }
    }
}
