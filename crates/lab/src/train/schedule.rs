//! Schedule of a training: the share of the budget used, and the points of the learning curve.

use crate::config::{Budget, TrainingConfig};

/// Part of a budget that training has used so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetUse {
    /// Seconds of training.
    pub seconds: f64,
    /// Training tokens.
    pub tokens: u64,
    /// Training tokens in one pass.
    pub tokens_per_pass: u64,
}

impl BudgetUse {
    /// Share of the budget, 1 or more when it is used up.
    pub fn share(&self, budget: Budget) -> f64 {
        match budget {
            Budget::Seconds(seconds) => self.seconds / seconds,
            Budget::Tokens(tokens) => self.tokens as f64 / tokens as f64,
            Budget::Epochs(epochs) => self.tokens as f64 / (epochs as f64 * self.tokens_per_pass as f64),
        }
    }

    /// Number of curve points passed by now, the one at the end of the budget not counted.
    pub fn points(&self, training: &TrainingConfig) -> u64 {
        match training.eval_every_seconds {
            Some(seconds) => (self.seconds / seconds) as u64,
            None => {
                let points = training.eval_points.unwrap_or(10);
                (self.share(training.budget) * points as f64) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(seconds: f64, tokens: u64) -> BudgetUse {
        BudgetUse { seconds, tokens, tokens_per_pass: 50 }
    }

    #[test]
    fn each_budget_counts_its_own_unit() {
        assert_eq!(used(3.0, 10).share(Budget::Seconds(12.0)), 0.25);
        assert_eq!(used(3.0, 10).share(Budget::Tokens(40)), 0.25);
        assert_eq!(used(3.0, 50).share(Budget::Epochs(2)), 0.5);
        assert!(used(3.0, 100).share(Budget::Epochs(2)) >= 1.0);
        assert!(used(3.0, 100).share(Budget::Epochs(u64::MAX)) < 1e-15);
    }
}
