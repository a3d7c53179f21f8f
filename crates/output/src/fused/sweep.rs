//! One sweep over a linear layer inside a node: inputs in, losses of the rows and fresh gradients
//! out.

use lexmax_kernels::linear_ce::{self, Filtered, Options, RowLosses, Upstream};

use super::inputs::{Gradients, Inputs, linear_gradients};
use super::workspaces::{FusedKind, Scratch};
use crate::Result;

/// A softmax over a linear layer, as a node sweeps it: for a [`Sweep`](super::Sweep) that is made
/// of one softmax or of several. Gradients are off inside a node, so nothing here is recorded.
///
/// ```
/// use lexmax_kernels::linear_ce::{Options, Upstream};
/// use lexmax_output::fused::{Inputs, LinearSweep, Scratch};
/// use tch::{Device, Kind, Tensor};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let (hidden, weight) = (Tensor::ones([2, 3], (Kind::Float, Device::Cpu)), Tensor::zeros([5, 3], (Kind::Float, Device::Cpu)));
/// let inputs = Inputs::new([Some(&hidden), Some(&weight), None])?;
/// let layer = LinearSweep { inputs: &inputs, scratch: &Scratch::default() };
/// let wanted = [false, true, false];
/// let (rows, gradients) =
///     layer.loss_and_gradients::<f32>(&[0, 4], &Options::default(), Upstream::Same(0.5), &wanted)?;
/// assert!((rows.loss[0] - 5_f64.ln()).abs() < 1e-6);
/// assert_eq!(gradients[1].as_ref().map(|gradient| gradient.values.size()), Some(vec![5, 3]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LinearSweep<'a> {
    /// Hidden states `[N, D]`, weight `[V, D]` and bias `[V]` are the first three; the bias may be
    /// missing.
    pub inputs: &'a Inputs,
    /// Workspace of the sweep.
    pub scratch: &'a Scratch,
}

/// Places of hidden states, weight and bias.
const LINEAR: [usize; 3] = [0, 1, 2];

impl LinearSweep<'_> {
    /// Loss of each row: one sweep, `2 N D V` operations.
    ///
    /// # Errors
    /// Another dtype than `T`; as [`linear_ce::loss`].
    pub fn loss<T: FusedKind>(&self, targets: &[i64], options: &Options<'_, T>) -> Result<RowLosses> {
        let linear = self.inputs.linear(LINEAR)?;
        Ok(self.scratch.with(|workspace| linear_ce::loss(linear, targets, options, workspace))?)
    }

    /// Loss of each row and the wanted gradients (of hidden, weight, bias) of `sum_i upstream_i
    /// l_i`: `6 N D V` operations.
    ///
    /// # Errors
    /// Another dtype than `T`; as [`linear_ce::loss_and_gradients`].
    pub fn loss_and_gradients<T: FusedKind>(
        &self,
        targets: &[i64],
        options: &Options<'_, T>,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
    ) -> Result<(RowLosses, Gradients)> {
        let (linear, mut made) = (self.inputs.linear(LINEAR)?, self.empty(wanted)?);
        let into = linear_gradients(&mut made)?;
        let rows = self.scratch.with(|workspace| {
            linear_ce::loss_and_gradients(linear, targets, options, upstream, into, workspace)
        })?;
        Ok((rows, made))
    }

    /// The wanted gradients of `sum_i upstream_i l_i` after [`LinearSweep::loss`] found `rows`, and
    /// what a filter left out of them: `6 N D V` operations.
    ///
    /// # Errors
    /// Another dtype than `T`; as [`linear_ce::gradients`].
    pub fn gradients<T: FusedKind>(
        &self,
        targets: &[i64],
        options: &Options<'_, T>,
        rows: &RowLosses,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
    ) -> Result<(Option<Filtered>, Gradients)> {
        let (linear, mut made) = (self.inputs.linear(LINEAR)?, self.empty(wanted)?);
        let into = linear_gradients(&mut made)?;
        let filtered = self.scratch.with(|workspace| {
            linear_ce::gradients(linear, targets, options, rows, upstream, into, workspace)
        })?;
        Ok((filtered, made))
    }

    fn empty(&self, wanted: &[bool]) -> Result<Gradients> {
        LINEAR.map(|index| self.inputs.gradient(index, wanted, None)).into_iter().collect()
    }
}
