//! Loss and gradient factors of one row, in f64, from its largest logit, its sum of exponentials
//! and its target's logit.

use super::options::Options;
use crate::element::Element;

/// Sums of one row over the classes swept so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSums {
    /// Largest logit.
    pub max: f64,
    /// Sum of exponentials, `sum_c exp(z_c - max)`.
    pub sum: f64,
    /// Weighted sum of logits, `sum_c w_c z_c`; only with label smoothing.
    pub weighted: f64,
    /// Logit of the target, `z_y`.
    pub target_logit: f64,
}

impl RowSums {
    /// Sums over no class.
    pub const NONE: Self = Self { max: f64::NEG_INFINITY, sum: 0.0, weighted: 0.0, target_logit: 0.0 };

    /// Adds a block's `sum_c exp(z_c - max)`.
    pub fn add(&mut self, max: f64, sum: f64) {
        if max > self.max {
            self.sum = self.sum * (self.max - max).exp() + sum;
            self.max = max;
        } else {
            self.sum += sum * (max - self.max).exp();
        }
    }

    /// Log-normaliser, `log sum_c exp z_c`.
    pub fn log_normaliser(&self) -> f64 {
        self.max + self.sum.ln()
    }

    /// `log p_y`; subtracting the maximum first keeps the digits where both are large.
    pub fn target_log_prob(&self) -> f64 {
        (self.target_logit - self.max) - self.sum.ln()
    }
}

/// Factors of a row's gradient `dl/dz_c = mass p_c - spread w_c - target [c = y]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowFactors {
    pub mass: f64,
    pub spread: f64,
    pub target: f64,
}

/// Constants of the loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowLoss {
    smoothing: f64,
    /// Smoothing of each class, `e / V`, with the `V` of the whole distribution.
    spread: f64,
    /// Sum of the class weights, `sum_c w_c`.
    total_weight: f64,
    z_loss: f64,
    focal_gamma: f64,
}

impl RowLoss {
    pub fn new<T: Element>(options: &Options<'_, T>, vocab_size: usize) -> Self {
        let total_weight = match options.class_weights {
            Some(weights) => weights.iter().map(|weight| weight.to_f64()).sum(),
            None => vocab_size as f64,
        };
        Self {
            smoothing: options.label_smoothing,
            spread: options.label_smoothing / options.smoothed_classes.unwrap_or(vocab_size) as f64,
            total_weight,
            z_loss: options.z_loss,
            focal_gamma: options.focal_gamma,
        }
    }

    /// Loss of a row, `l_i`, from its sums and `w_y`.
    pub fn loss(&self, row: &RowSums, target_weight: f64) -> f64 {
        let log_normaliser = row.log_normaliser();
        let log_prob = row.target_log_prob();
        let mut loss = 0.0;
        // What weighs nothing costs nothing, a target of probability zero too.
        if target_weight > 0.0 {
            loss -= (1.0 - self.smoothing) * target_weight * self.focal(log_prob).0 * log_prob;
        }
        if self.spread > 0.0 {
            loss -= self.spread * (row.weighted - self.total_weight * log_normaliser);
        }
        if self.z_loss > 0.0 {
            loss += self.z_loss * target_weight * log_normaliser * log_normaliser;
        }
        loss
    }

    /// Factors of the gradient with respect to `z`.
    pub fn factors(&self, log_normaliser: f64, target_log_prob: f64, target_weight: f64) -> RowFactors {
        let target = (1.0 - self.smoothing) * target_weight * self.focal(target_log_prob).1;
        let mass =
            target + self.spread * self.total_weight + 2.0 * self.z_loss * target_weight * log_normaliser;
        RowFactors { mass, spread: self.spread, target }
    }

    /// Focal factor `f = (1 - p)^gamma`, and the derivative of `f log p` with respect to `log p`.
    fn focal(&self, log_prob: f64) -> (f64, f64) {
        if self.focal_gamma == 0.0 {
            return (1.0, 1.0);
        }
        if log_prob == f64::NEG_INFINITY {
            return (1.0, 1.0);
        }
        // -expm1(log p) is 1 - p without cancellation near p = 1; the bound keeps the power's
        // derivative finite there.
        let miss = (-log_prob.exp_m1()).max(f64::from(f32::MIN_POSITIVE));
        let factor = miss.powf(self.focal_gamma);
        (factor, factor - self.focal_gamma * miss.powf(self.focal_gamma - 1.0) * log_prob.exp() * log_prob)
    }
}
