//! A learning rate that falls when validation no longer improves.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};

/// Constants of [`Plateau`]; the defaults divide the rate by 4 at every validation that is no
/// better than the best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlateauConfig {
    /// Factor of the rate at each reduction, in `(0, 1)`.
    pub factor: f64,
    /// Number of successive validations that may be no better before the rate falls.
    pub patience: u32,
    /// Nats by which a validation must undercut the best to count as better, `>= 0`.
    pub threshold: f64,
    /// Least rate, `>= 0`.
    pub min_lr: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        PlateauConfig { factor: 0.25, patience: 0, threshold: 0.0, min_lr: 0.0 }
    }
}

impl PlateauConfig {
    /// Checks every constant; the error names the first one out of its range.
    pub fn validate(&self) -> Result<()> {
        check("plateau.factor", self.factor, self.factor > 0.0 && self.factor < 1.0, "a number in (0, 1)")?;
        let threshold = self.threshold.is_finite() && self.threshold >= 0.0;
        check("plateau.threshold", self.threshold, threshold, "a finite number of nats >= 0")?;
        let min_lr = self.min_lr.is_finite() && self.min_lr >= 0.0;
        check("plateau.min_lr", self.min_lr, min_lr, "a finite number >= 0")
    }
}

/// The learning rate with the best validation so far; all of it is serializable, so a run can be
/// continued.
///
/// ```
/// use lexmax_optim::{Plateau, PlateauConfig};
/// let mut schedule = Plateau::new(20.0, PlateauConfig { patience: 1, ..Default::default() })?;
/// assert_eq!(schedule.observe(5.0), 20.0);
/// assert_eq!(schedule.observe(5.1), 20.0); // patience
/// assert_eq!(schedule.observe(5.1), 5.0);
/// # Ok::<(), lexmax_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    config: PlateauConfig,
    learning_rate: f64,
    best: Option<f64>,
    not_better: u32,
}

impl Plateau {
    /// Starts at `learning_rate > 0`.
    pub fn new(learning_rate: f64, config: PlateauConfig) -> Result<Self> {
        config.validate()?;
        let fits = learning_rate.is_finite() && learning_rate > 0.0;
        check("learning_rate", learning_rate, fits, "a finite number > 0")?;
        Ok(Plateau { config, learning_rate, best: None, not_better: 0 })
    }

    /// Takes the mean negative log-likelihood of a validation (nats) and returns the rate from here
    /// on. NaN and infinity are never better.
    pub fn observe(&mut self, valid_nll: f64) -> f64 {
        let better =
            valid_nll.is_finite() && self.best.is_none_or(|best| valid_nll < best - self.config.threshold);
        if better {
            self.best = Some(valid_nll);
            self.not_better = 0;
        } else if self.not_better < self.config.patience {
            self.not_better += 1;
        } else {
            self.not_better = 0;
            // A rate that starts below the minimum must not rise to it.
            let floor = self.config.min_lr.min(self.learning_rate);
            self.learning_rate = (self.learning_rate * self.config.factor).max(floor);
        }
        self.learning_rate
    }

    /// The rate for the next step.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
}
