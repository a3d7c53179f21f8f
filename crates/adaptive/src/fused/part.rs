//! One softmax of the layer, the head or a cluster, over the rows of a batch that visit it.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::{Options, RowLosses, Upstream};
use lexmax_output::Result;
use lexmax_output::fused::{FusedKind, Scratch, Swept, SweptGradients};
use tch::Tensor;

/// What is computed, and what each row of the batch counts for in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass<'a, T> {
    /// Losses alone.
    Loss,
    /// Losses, and the gradients where each row counts for the same factor.
    Both(f64),
    /// Gradients after [`Pass::Loss`], with one factor for each row of the batch.
    Again(&'a [T]),
}

/// The rows that visit a softmax, and what it is to them.
///
/// With smoothing `e` and class weights `w` over all `V` words a row of target `y` costs
/// `-(1 - e) w_y log p(y) - e/V sum_c w_c log p(c)`. Since `log p(c) = log head(c)` in the shortlist and `log head(S + i) + log
/// p_i(c)` in cluster `i`, that is a sum over the softmaxes of losses of the same form: the head's target is the word or its
/// cluster's entry, an entry weighs `sum_{c in C_i} w_c` in the head's smoothing, and a row whose target lies elsewhere
/// visits a cluster for the smoothing alone.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Rows of the batch that visit, rising; `None`: all of them.
    pub rows: Option<Vec<usize>>,
    /// Their targets within this softmax.
    pub targets: Vec<i64>,
    /// `w_y` of each of them, zero where the target lies elsewhere; `None`, only without smoothing: one each.
    pub weights: Option<Vec<f64>>,
    /// `w_c` of this softmax's entries in the smoothing; `None`: one each.
    pub spread: Option<Tensor>,
    /// What a sweep without gradients found, for the one with gradients.
    pub found: RowLosses,
}

/// `e` and `V`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub smoothing: f64,
    pub classes: usize,
}

impl Part {
    /// Whether no row visits.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The rows of `hidden` `[N, D]` that visit.
    pub fn gather(&self, hidden: &Tensor) -> Result<Tensor> {
        let Some(rows) = &self.rows else { return Ok(hidden.shallow_clone()) };
        let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        Ok(hidden.f_index_select(0, &Tensor::f_from_slice(&rows)?)?)
    }

    /// Adds `values` `[M, D]` of the rows that visit to `sums` `[N, D]`, in the order of the rows.
    pub fn scatter<T: FusedKind>(&self, sums: &mut Tensor, values: &Tensor) -> Result<()> {
        let Some(rows) = &self.rows else {
            let _ = sums.f_add_(values)?;
            return Ok(());
        };
        let width = usize::try_from(sums.size()[1]).unwrap_or(0).max(1);
        let (sums, values) = (slice_mut::<T>(sums)?, slice::<T>(values)?);
        for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
            for (sum, value) in sums[row * width..(row + 1) * width].iter_mut().zip(values) {
                *sum = *sum + *value;
            }
        }
        Ok(())
    }

    /// Sweeps the linear layer `[M, d] x [entries, d]` of this softmax; `wanted` are the gradients of hidden, weight, bias.
    pub fn sweep<T: FusedKind>(
        &mut self,
        layer: &Swept,
        spread: Spread,
        pass: Pass<'_, T>,
        wanted: [bool; 3],
        scratch: &Scratch,
    ) -> Result<SweptGradients> {
        let options = Options {
            label_smoothing: spread.smoothing,
            class_weights: self.spread.as_ref().map(slice).transpose()?,
            row_weights: self.weights.as_deref(),
            smoothed_classes: Some(spread.classes),
            ..Options::default()
        };
        match pass {
            Pass::Loss => {
                self.found = layer.loss(&self.targets, &options, scratch)?;
                Ok(SweptGradients::default())
            }
            Pass::Both(factor) => {
                let upstream = Upstream::Same(factor);
                let (found, gradients) =
                    layer.loss_and_gradients(&self.targets, &options, upstream, wanted, scratch)?;
                self.found = found;
                Ok(gradients)
            }
            Pass::Again(factors) => {
                let own: Vec<T>;
                let factors = match &self.rows {
                    None => factors,
                    Some(rows) => {
                        own = rows.iter().map(|row| factors[*row]).collect();
                        &own
                    }
                };
                let upstream = Upstream::Rows(factors);
                layer.gradients(&self.targets, &options, &self.found, upstream, wanted, scratch)
            }
        }
    }

    /// Adds the losses of the rows that visit to those of the batch's rows.
    pub fn add_losses(&self, losses: &mut [f64]) {
        match &self.rows {
            None => losses.iter_mut().zip(&self.found.loss).for_each(|(sum, loss)| *sum += loss),
            Some(rows) => rows.iter().zip(&self.found.loss).for_each(|(row, loss)| losses[*row] += loss),
        }
    }
}
