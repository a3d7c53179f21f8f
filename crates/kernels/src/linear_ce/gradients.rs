//! Where gradients go, and what they are multiplied by.

use crate::element::Element;
use crate::error::{KernelError, Result};

/// Derivative of the final number with respect to each row's loss: one over what the mean divides
/// by, or 1 for the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Upstream<'a, T> {
    /// The same for every row.
    Same(f64),
    /// One for each row, `[N]`.
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

/// Where gradients go; those that are `None` are not computed.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// `[N, D]`, overwritten (ignored rows with zero).
    pub hidden: Option<&'a mut [T]>,
    /// `[V, D]`.
    pub weight: Option<&'a mut [T]>,
    /// `[V]`; the rows of a chunk are added in `T`, chunks in f64.
    pub bias: Option<&'a mut [T]>,
    /// Whether weight and bias are added to what is there instead of overwritten.
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

    /// Whether any is.
    pub(crate) fn wanted(&self) -> bool {
        self.hidden.is_some() || self.weight.is_some() || self.bias.is_some()
    }

    /// Zeros what sums are added to. The weight's gradient is not: the first chunk overwrites it.
    pub(crate) fn start(&mut self) {
        let zero = T::default();
        if let Some(hidden) = &mut self.hidden {
            hidden.fill(zero);
        }
        if let Some(bias) = self.bias.as_mut().filter(|_| !self.accumulate) {
            bias.fill(zero);
        }
    }

    /// The weight's gradient where there is no chunk to overwrite it.
    pub(crate) fn nothing_counted(self) {
        if let Some(weight) = self.weight.filter(|_| !self.accumulate) {
            weight.fill(T::default());
        }
    }
}
