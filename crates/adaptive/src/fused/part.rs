//! One softmax of the layer, the head or a cluster, over the rows of a batch that visit it.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::{Options, RowLosses, Upstream};
use lexmax_kernels::projection::Projection;
use lexmax_output::Result;
use lexmax_output::fused::{FusedKind, Gradients, LinearSweep, Scratch};
use tch::{Device, Tensor};

use crate::smoothing::Smoothing;

/// Sweeps of a pass, and the factor of each row of the batch in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass<'a, T> {
    /// Losses alone.
    Loss,
    /// Losses and gradients.
    Both(Upstream<'a, T>),
    /// Gradients after [`Pass::Loss`].
    Again(Upstream<'a, T>),
}

/// The rows that visit a softmax, and what it is to them.
///
/// With smoothing `e` and class weights `w` over all `V` words a row of target `y` costs `-(1 - e)
/// w_y log p(y) - e/V sum_c w_c log p(c)`. Since `log p(c) = log head(c)` in the shortlist and `log
/// head(S + i) + log p_i(c)` in cluster `i`, that is a sum over the softmaxes of losses of the same
/// form: the head's target is the word or its cluster's entry, an entry weighs `sum_{c in C_i} w_c`
/// in the head's smoothing, and a row whose target lies elsewhere visits a cluster for the
/// smoothing alone.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Rows of the batch that visit, rising; `None`: all of them.
    pub rows: Option<Vec<usize>>,
    /// Targets of these rows within this softmax.
    pub targets: Vec<i64>,
    /// `w_y` of each of them, zero where the target lies elsewhere; `None`, only without smoothing:
    /// one each.
    pub weights: Option<Vec<f64>>,
    /// `w_c` of this softmax's entries in the smoothing; `None`: one each.
    pub spread: Option<Tensor>,
    /// Normalisers that a sweep without gradients found, for the one with gradients.
    pub found: RowLosses,
}

/// Inputs of a cluster's projection, and the gradient by its output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projected<'a> {
    pub hidden: &'a Tensor,
    pub projection: &'a Tensor,
    pub d_projected: &'a Tensor,
}

impl Part {
    /// Whether no row visits.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The rows of `hidden` `[N, D]` that visit, projected, `[M, d]`.
    pub fn project<T: FusedKind>(
        &self,
        hidden: &Tensor,
        projection: &Tensor,
        scratch: &Scratch,
    ) -> Result<Tensor> {
        let size = [self.targets.len() as i64, projection.size()[0]];
        let mut projected = Tensor::f_empty(size, (T::KIND, Device::Cpu))?;
        let (into, of) = (slice_mut(&mut projected)?, self.projection::<T>(hidden, projection)?);
        scratch.with(|workspace| of.forward(into, workspace))?;
        Ok(projected)
    }

    /// The projection's gradient, where it is wanted; the hidden states' is added to `d_hidden`
    /// `[N, D]`, row by row.
    pub fn project_back<T: FusedKind>(
        &self,
        made: Projected<'_>,
        wanted: bool,
        d_hidden: Option<&mut Tensor>,
        scratch: &Scratch,
    ) -> Result<Option<Tensor>> {
        let Projected { hidden, projection, d_projected } = made;
        let empty = || Tensor::f_empty(projection.size(), (T::KIND, Device::Cpu));
        let mut gradient = wanted.then(empty).transpose()?;
        let of = self.projection::<T>(hidden, projection)?;
        let (d_projected, d_hidden) = (slice(d_projected)?, d_hidden.map(slice_mut).transpose()?);
        let d_projection = gradient.as_mut().map(slice_mut).transpose()?;
        scratch.with(|workspace| of.gradients(d_projected, d_projection, d_hidden, workspace))?;
        Ok(gradient)
    }

    fn projection<'a, T: FusedKind>(
        &'a self,
        hidden: &'a Tensor,
        projection: &'a Tensor,
    ) -> Result<Projection<'a, T>> {
        Ok(Projection {
            hidden: slice(hidden)?,
            hidden_size: usize::try_from(hidden.size()[1]).unwrap_or(0),
            rows: self.rows.as_deref(),
            weight: slice(projection)?,
        })
    }

    /// Sweeps the linear layer `[M, d] x [entries, d]` of this softmax; `wanted` are the gradients
    /// of hidden, weight, bias.
    pub fn sweep<T: FusedKind>(
        &mut self,
        layer: LinearSweep<'_>,
        spread: Smoothing,
        pass: Pass<'_, T>,
        wanted: &[bool],
    ) -> Result<Gradients> {
        let options = Options {
            label_smoothing: spread.smoothing,
            class_weights: self.spread.as_ref().map(slice).transpose()?,
            row_weights: self.weights.as_deref(),
            smoothed_classes: Some(spread.classes),
            ..Options::default()
        };
        let mut own = Vec::new();
        match pass {
            Pass::Loss => {
                self.found = layer.loss(&self.targets, &options)?;
                Ok(Gradients::new())
            }
            Pass::Both(upstream) => {
                let upstream = of_visitors(self.rows.as_deref(), upstream, &mut own);
                let (found, made) = layer.loss_and_gradients(&self.targets, &options, upstream, wanted)?;
                self.found = found;
                Ok(made)
            }
            Pass::Again(upstream) => {
                let upstream = of_visitors(self.rows.as_deref(), upstream, &mut own);
                Ok(layer.gradients(&self.targets, &options, &self.found, upstream, wanted)?.1)
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

/// The factors of the rows that visit, from those of all rows of the batch; `memory` holds them.
fn of_visitors<'a, T: FusedKind>(
    rows: Option<&[usize]>,
    upstream: Upstream<'a, T>,
    memory: &'a mut Vec<T>,
) -> Upstream<'a, T> {
    let (Some(rows), Upstream::Rows(factors)) = (rows, upstream) else { return upstream };
    memory.extend(rows.iter().map(|row| factors[*row]));
    Upstream::Rows(memory)
}
