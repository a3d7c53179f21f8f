//! One sweep over a linear layer inside a node: tensors in, losses of the rows and fresh gradients out.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::{self, Filtered, Gradients, Options, RowLosses, Upstream};
use tch::Tensor;

use super::scratch::{FusedKind, Scratch};
use crate::{OutputError, Result};

/// A linear layer before a softmax, as a node sweeps it: for [`lexmax_autograd::Function`]s that are made of one softmax or of
/// several. Gradients are off inside a node, so nothing here is recorded.
///
/// ```
/// use lexmax_kernels::linear_ce::{Options, Upstream};
/// use lexmax_output::fused::{Scratch, Swept};
/// use tch::{Device, Kind, Tensor};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let (hidden, weight) = (Tensor::ones([2, 3], (Kind::Float, Device::Cpu)), Tensor::zeros([5, 3], (Kind::Float, Device::Cpu)));
/// let layer = Swept::new(&hidden, &weight, None)?;
/// let wanted = [false, true, false];
/// let (rows, gradients) =
///     layer.loss_and_gradients::<f32>(&[0, 4], &Options::default(), Upstream::Same(0.5), wanted, &Scratch::default())?;
/// assert!((rows.loss[0] - 5_f64.ln()).abs() < 1e-6);
/// assert_eq!(gradients.weight.map(|gradient| gradient.size()), Some(vec![5, 3]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Swept {
    hidden: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
}

/// Gradients of a [`Swept`] layer, those that were wanted.
#[derive(Debug, Default)]
pub struct SweptGradients {
    /// `[N, D]`.
    pub hidden: Option<Tensor>,
    /// `[V, D]`.
    pub weight: Option<Tensor>,
    /// `[V]`.
    pub bias: Option<Tensor>,
}

impl Swept {
    /// Hidden states `[N, D]`, weight `[V, D]` and bias `[V]`; copied only where they are not contiguous.
    ///
    /// # Errors
    /// Other shapes.
    pub fn new(hidden: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let fits = |what, tensor: &Tensor, fits: bool, expected: String| {
            let given = tensor.size();
            if fits { Ok(()) } else { Err(OutputError::Shape { op: "fused", what, given, expected }) }
        };
        fits("weight", weight, weight.dim() == 2, "[V, D]".to_owned())?;
        let (classes, width) = weight.size2()?;
        let of_width = hidden.dim() == 2 && hidden.size()[1] == width;
        fits("hidden", hidden, of_width, format!("[N, {width}], as wide as the weight"))?;
        if let Some(bias) = bias {
            fits("bias", bias, bias.size() == [classes], format!("[{classes}], one for each class"))?;
        }
        let bias = bias.map(Tensor::f_contiguous).transpose()?;
        Ok(Self { hidden: hidden.f_contiguous()?, weight: weight.f_contiguous()?, bias })
    }

    /// Loss of each row: one sweep, `2 N D V` operations.
    ///
    /// # Errors
    /// Another kind than `T`; as [`linear_ce::loss`].
    pub fn loss<T: FusedKind>(
        &self,
        targets: &[i64],
        options: &Options<'_, T>,
        scratch: &Scratch,
    ) -> Result<RowLosses> {
        let linear = self.linear()?;
        scratch
            .with(|workspace| linear_ce::loss(linear, targets, options, workspace))
            .map_err(OutputError::fused)
    }

    /// Loss of each row and the wanted gradients (of hidden, weight, bias) of `sum_i upstream_i l_i`: `6 N D V` operations.
    ///
    /// # Errors
    /// Another kind than `T`; as [`linear_ce::loss_and_gradients`].
    pub fn loss_and_gradients<T: FusedKind>(
        &self,
        targets: &[i64],
        options: &Options<'_, T>,
        upstream: Upstream<'_, T>,
        wanted: [bool; 3],
        scratch: &Scratch,
    ) -> Result<(RowLosses, SweptGradients)> {
        let (linear, mut made) = (self.linear()?, self.empty_gradients(wanted)?);
        let into = made.slices()?;
        let rows = scratch.with(|workspace| {
            linear_ce::loss_and_gradients(linear, targets, options, upstream, into, workspace)
        });
        Ok((rows.map_err(OutputError::fused)?, made))
    }

    /// The wanted gradients of `sum_i upstream_i l_i` after [`Swept::loss`] found `rows`, and what a filter left
    /// out of them: `6 N D V` operations.
    ///
    /// # Errors
    /// Another kind than `T`; as [`linear_ce::gradients`].
    pub fn gradients<T: FusedKind>(
        &self,
        targets: &[i64],
        options: &Options<'_, T>,
        rows: &RowLosses,
        upstream: Upstream<'_, T>,
        wanted: [bool; 3],
        scratch: &Scratch,
    ) -> Result<(Option<Filtered>, SweptGradients)> {
        let (linear, mut made) = (self.linear()?, self.empty_gradients(wanted)?);
        let into = made.slices()?;
        let filtered = scratch
            .with(|workspace| linear_ce::gradients(linear, targets, options, rows, upstream, into, workspace))
            .map_err(OutputError::fused)?;
        Ok((filtered, made))
    }

    /// The layer as slices.
    ///
    /// # Errors
    /// Another kind than `T`.
    pub fn linear<T: FusedKind>(&self) -> Result<linear_ce::Linear<'_, T>> {
        Ok(linear_ce::Linear {
            hidden: slice(&self.hidden)?,
            weight: slice(&self.weight)?,
            bias: self.bias.as_ref().map(slice).transpose()?,
            hidden_size: usize::try_from(self.weight.size()[1]).unwrap_or(0),
        })
    }

    /// Empty is enough: the kernels overwrite all of it.
    fn empty_gradients(&self, wanted: [bool; 3]) -> Result<SweptGradients> {
        let empty = |tensor: Option<&Tensor>, wanted: bool| {
            let tensor = tensor.filter(|_| wanted);
            tensor.map(|like| Tensor::f_empty(like.size(), (like.kind(), like.device()))).transpose()
        };
        Ok(SweptGradients {
            hidden: empty(Some(&self.hidden), wanted[0])?,
            weight: empty(Some(&self.weight), wanted[1])?,
            bias: empty(self.bias.as_ref(), wanted[2])?,
        })
    }
}

impl SweptGradients {
    fn slices<T: FusedKind>(&mut self) -> Result<Gradients<'_, T>> {
        Ok(Gradients {
            hidden: self.hidden.as_mut().map(slice_mut).transpose()?,
            weight: self.weight.as_mut().map(slice_mut).transpose()?,
            bias: self.bias.as_mut().map(slice_mut).transpose()?,
            ..Gradients::default()
        })
    }

    /// In the order hidden, weight, bias.
    pub fn into_array(self) -> [Option<Tensor>; 3] {
        [self.hidden, self.weight, self.bias]
    }
}
