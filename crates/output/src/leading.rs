//! Leading shapes: hidden states `[.., D]` as rows `[N, D]`, and the answers of the rows with the
//! leading shape given back.

use tch::Tensor;

use crate::{OutputError, Result, TrainingLoss};

/// Hidden states and targets of any leading shape, as rows.
///
/// Rows that are given as rows are handed on untouched. A shape that is none of `[.., D]` is handed
/// on as well: the layer refuses it with the name of its operation.
pub(crate) struct Rows {
    /// `None` where the rows came as rows, or not at all.
    leading: Option<Vec<i64>>,
    hidden: Tensor,
    /// Undefined where the query has none.
    targets: Tensor,
}

impl Rows {
    /// Rows of hidden states alone.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn new(hidden_size: i64, hidden: &Tensor) -> Result<Self> {
        let leading = leading(hidden_size, hidden).filter(|leading| leading.len() != 1);
        let hidden = match &leading {
            Some(_) => hidden.f_reshape([-1, hidden_size])?,
            None => hidden.shallow_clone(),
        };
        Ok(Self { leading, hidden, targets: Tensor::new() })
    }

    /// Rows of hidden states and their targets.
    ///
    /// # Errors
    /// Leading shapes that differ.
    pub fn with_targets(
        layer: &'static str,
        op: &'static str,
        hidden_size: i64,
        hidden: &Tensor,
        targets: &Tensor,
    ) -> Result<Self> {
        if let Some(expected) = leading(hidden_size, hidden).filter(|leading| *leading != targets.size()) {
            let (given, hidden) = (targets.size(), hidden.size());
            return Err(OutputError::Leading { layer, op, given, expected, hidden });
        }
        let rows = Self::new(hidden_size, hidden)?;
        let targets = match rows.leading {
            Some(_) => targets.f_reshape([-1])?,
            None => targets.shallow_clone(),
        };
        Ok(Self { targets, ..rows })
    }

    /// Hidden states `[N, D]`.
    pub fn hidden(&self) -> &Tensor {
        &self.hidden
    }

    /// Targets `[N]`.
    pub fn targets(&self) -> &Tensor {
        &self.targets
    }

    /// An answer `[N, ..]` with the leading shape in the place of `N`.
    ///
    /// # Errors
    /// An answer that has not one entry for each row.
    pub fn shaped(&self, of_rows: Tensor) -> Result<Tensor> {
        let Some(leading) = &self.leading else { return Ok(of_rows) };
        let shape: Vec<i64> = leading.iter().copied().chain(of_rows.size().into_iter().skip(1)).collect();
        Ok(of_rows.f_reshape(shape)?)
    }

    /// A loss: a scalar as it is, one loss for each row with the leading shape.
    ///
    /// # Errors
    /// As [`Rows::shaped`].
    pub fn loss(&self, loss: TrainingLoss) -> Result<TrainingLoss> {
        if loss.tensor().dim() == 0 { Ok(loss) } else { loss.map(|of_rows| self.shaped(of_rows)) }
    }
}

/// Leading shape of hidden states `[.., D]`; `None` where they have another width.
fn leading(hidden_size: i64, hidden: &Tensor) -> Option<Vec<i64>> {
    let mut shape = hidden.size();
    (shape.pop() == Some(hidden_size)).then_some(shape)
}
