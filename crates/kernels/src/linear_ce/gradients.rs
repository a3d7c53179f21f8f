//! Output buffers of gradients, and their upstream factors.

use crate::element::Element;
use crate::error::{KernelError, Result};

/// Derivative of the reduced loss with respect to each row's loss: one over the divisor of the
/// mean, or 1 for the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Upstream<'a, T> {
    /// One factor for all rows.
    Same(f64),
    /// One factor for each row, `[N]`.
    Rows(&'a [T]),
}

impl<T: Element> Upstream<'_, T> {
    pub(crate) fn of(&self, row: usize) -> f64 {
        match self {
            Self::Same(factor) => *factor,
            Self::Rows(factors) => factors[row].to_f64(),
        }
    }

    pub(crate) fn check(&self, op: &'static str, rows: usize) -> Result<()> {
        match self {
            Self::Same(_) => Ok(()),
            Self::Rows(given) => {
                KernelError::check_length(op, "upstream", given.len(), rows, "one for each row")
            }
        }
    }
}

/// Output buffers of the gradients; those that are `None` are not computed.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// Gradient of the hidden states, `[N, D]`, overwritten (ignored rows with zero).
    pub hidden: Option<&'a mut [T]>,
    /// Gradient of the weight, `[V, D]`.
    pub weight: Option<&'a mut [T]>,
    /// Gradient of the bias, `[V]`; the rows of a chunk are added in `T`, chunks in f64.
    pub bias: Option<&'a mut [T]>,
    /// Whether gradients of weight and bias are added to the buffers' content instead of
    /// overwriting it.
    pub accumulate: bool,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        Self { hidden: None, weight: None, bias: None, accumulate: false }
    }
}

impl<T: Element> Gradients<'_, T> {
    pub(crate) fn check(&self, op: &'static str, rows: usize, vocab_size: usize, size: usize) -> Result<()> {
        if let Some(hidden) = &self.hidden {
            KernelError::check_length(op, "gradient of hidden", hidden.len(), rows * size, "N rows of D")?;
        }
        if let Some(weight) = &self.weight {
            KernelError::check_length(
                op,
                "gradient of weight",
                weight.len(),
                vocab_size * size,
                "V rows of D",
            )?;
        }
        if let Some(bias) = &self.bias {
            KernelError::check_length(op, "gradient of bias", bias.len(), vocab_size, "one for each class")?;
        }
        Ok(())
    }

    /// Whether any gradient is wanted.
    pub(crate) fn wanted(&self) -> bool {
        self.hidden.is_some() || self.weight.is_some() || self.bias.is_some()
    }

    /// Zeros the buffers that sums are added to: all but the weight's gradient, which the first
    /// chunk overwrites.
    pub(crate) fn start(&mut self) {
        let zero = T::default();
        if let Some(hidden) = &mut self.hidden {
            hidden.fill(zero);
        }
        if let Some(bias) = self.bias.as_mut().filter(|_| !self.accumulate) {
            bias.fill(zero);
        }
    }

    /// Zeros the weight's gradient where all rows are ignored and no chunk overwrites it.
    pub(crate) fn nothing_counted(self) {
        if let Some(weight) = self.weight.filter(|_| !self.accumulate) {
            weight.fill(T::default());
        }
    }
}
