//! The linear layer that the kernels look at: hidden states, weight and bias as slices.

use crate::element::Element;
use crate::error::{KernelError, Result};

/// Logits `W h + b`, not yet computed: hidden `[N, D]`, weight `[V, D]`, bias `[V]`, all row-major.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a, T> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a [T],
    /// Weight, one row for each class, `[V, D]`.
    pub weight: &'a [T],
    /// Bias, one element for each class, `[V]`.
    pub bias: Option<&'a [T]>,
    /// Size of a hidden state, `D`.
    pub hidden_size: usize,
}

impl<T: Element> Linear<'_, T> {
    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.hidden.len() / self.hidden_size.max(1)
    }

    /// Number of classes, `V`.
    pub fn vocab_size(&self) -> usize {
        self.weight.len() / self.hidden_size.max(1)
    }

    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        let size = self.hidden_size;
        if size == 0 {
            return Err(KernelError::argument(op, "hidden_size", size, "at least 1"));
        }
        KernelError::check_length(op, "hidden", self.hidden.len(), self.rows() * size, "N rows of D")?;
        KernelError::check_length(op, "weight", self.weight.len(), self.vocab_size() * size, "V rows of D")?;
        if self.vocab_size() == 0 {
            return Err(KernelError::argument(op, "vocab_size", 0, "at least 1 class"));
        }
        if let Some(bias) = self.bias {
            KernelError::check_length(op, "bias", bias.len(), self.vocab_size(), "one for each class")?;
        }
        Ok(())
    }
}

/// Checks targets `[N]` and lists the rows that count.
pub(crate) fn counted_rows(
    op: &'static str,
    targets: &[i64],
    rows: usize,
    vocab_size: usize,
    ignore_index: Option<i64>,
) -> Result<Vec<usize>> {
    KernelError::check_length(op, "targets", targets.len(), rows, "one for each row of hidden")?;
    let mut counted = Vec::with_capacity(rows);
    for (row, target) in targets.iter().enumerate() {
        if ignore_index == Some(*target) {
            continue;
        }
        if usize::try_from(*target).is_ok_and(|target| target < vocab_size) {
            counted.push(row);
        } else {
            let or_ignored = ignore_index.map(|index| format!(" or the ignored {index}")).unwrap_or_default();
            return Err(KernelError::Target { op, row, given: *target, vocab_size, or_ignored });
        }
    }
    Ok(counted)
}
