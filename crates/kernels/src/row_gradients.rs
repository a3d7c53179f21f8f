//! Output buffers of row-sparse gradients: the rows of a weight that a batch touches.

use crate::element::Element;
use crate::error::{KernelError, Result};

/// Outputs for gradients of a layer of which a batch touches `R` rows; those that are `None` are
/// not computed. All are overwritten.
#[derive(Debug)]
pub struct RowGradients<'a, T> {
    /// Gradient of the hidden states, `[N, D]`.
    pub hidden: Option<&'a mut [T]>,
    /// Gradients of the touched rows of the weight, `[R, D]`.
    pub weight: Option<&'a mut [T]>,
    /// Gradients of the touched elements of the bias, `[R]`; sums over rows are made in f64.
    pub bias: Option<&'a mut [T]>,
}

impl<T> Default for RowGradients<'_, T> {
    fn default() -> Self {
        Self { hidden: None, weight: None, bias: None }
    }
}

impl<T: Element> RowGradients<'_, T> {
    pub(crate) fn check(&self, op: &'static str, rows: usize, touched: usize, size: usize) -> Result<()> {
        let check = |what, out: &Option<&mut [T]>, expected, why| {
            out.as_ref().map_or(Ok(()), |out| KernelError::check_length(op, what, out.len(), expected, why))
        };
        check("gradient of hidden", &self.hidden, rows * size, "N rows of D")?;
        check("gradient of weight", &self.weight, touched * size, "a row of D for each row that is touched")?;
        check("gradient of bias", &self.bias, touched, "one for each row that is touched")
    }
}
