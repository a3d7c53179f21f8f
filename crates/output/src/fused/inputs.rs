//! The inputs of a fused node as the kernels read them, and the gradients by them as the kernels
//! write them.

use lexmax_autograd::AutogradError;
use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::{self, Linear};
use tch::Tensor;

use super::workspaces::FusedKind;
use crate::Result;

/// Inputs of a fused node, contiguous; some may be missing.
#[derive(Debug)]
pub struct Inputs(Vec<Option<Tensor>>);

impl Inputs {
    /// Takes a share of each input, or a copy where it is not contiguous.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn new<'a>(inputs: impl IntoIterator<Item = Option<&'a Tensor>>) -> Result<Self> {
        let contiguous = |input: Option<&Tensor>| input.map(Tensor::f_contiguous).transpose();
        Ok(Self(inputs.into_iter().map(contiguous).collect::<std::result::Result<_, _>>()?))
    }

    /// An input, where it is there.
    pub fn get(&self, index: usize) -> Option<&Tensor> {
        self.0.get(index).and_then(Option::as_ref)
    }

    /// An input that must be there.
    ///
    /// # Errors
    /// The input is missing.
    pub fn tensor(&self, index: usize) -> Result<&Tensor> {
        let count = self.0.len();
        let state = if index < count { "undefined" } else { "out of range" };
        Ok(self.get(index).ok_or(AutogradError::Missing { what: "input", index, state, count })?)
    }

    /// The elements of an input that must be there.
    ///
    /// # Errors
    /// The input is missing, or has another dtype than `T`.
    pub fn slice<T: FusedKind>(&self, index: usize) -> Result<&[T]> {
        Ok(slice(self.tensor(index)?)?)
    }

    /// The elements of an input, where it is there.
    ///
    /// # Errors
    /// Another dtype than `T`.
    pub fn optional<T: FusedKind>(&self, index: usize) -> Result<Option<&[T]>> {
        Ok(self.get(index).map(slice).transpose()?)
    }

    /// A linear layer of hidden states `[N, D]`, weight `[V, D]` and bias `[V]` at these places;
    /// the bias may be missing.
    ///
    /// # Errors
    /// An input is missing, or has another dtype than `T`.
    pub fn linear<T: FusedKind>(&self, [hidden, weight, bias]: [usize; 3]) -> Result<Linear<'_, T>> {
        let width = self.tensor(weight)?.size().get(1).copied().unwrap_or(0);
        debug_assert_eq!(
            self.tensor(hidden)?.size().last(),
            Some(&width),
            "hidden states as wide as the weight"
        );
        Ok(Linear {
            hidden: self.slice(hidden)?,
            weight: self.slice(weight)?,
            bias: self.optional(bias)?,
            hidden_size: usize::try_from(width).unwrap_or(0),
        })
    }

    /// Memory for the gradient by an input, where that is there and `wanted`: for the given rows or
    /// for all. Its elements are not set, since the kernels overwrite all of them.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn gradient(&self, index: usize, wanted: &[bool], rows: Option<&Tensor>) -> Result<Option<Gradient>> {
        let Some(input) = self.get(index).filter(|_| wanted.get(index) == Some(&true)) else {
            return Ok(None);
        };
        let mut shape = input.size();
        if let (Some(rows), Some(first)) = (rows, shape.first_mut()) {
            *first = rows.size()[0];
        }
        let values = Tensor::f_empty(shape, (input.kind(), input.device()))?;
        Ok(Some(Gradient { rows: rows.map(Tensor::shallow_clone), values }))
    }
}

/// The gradient by one input of a fused node.
#[derive(Debug)]
pub struct Gradient {
    /// Rows of the input that `values` are for, `[R]`, i64, rising; `None` is all of them.
    pub rows: Option<Tensor>,
    /// The gradient of these rows, `[R, ...]`.
    pub values: Tensor,
}

/// Gradients by the inputs of a fused node in their order; `None` where none is wanted.
pub type Gradients = Vec<Option<Gradient>>;

impl Gradient {
    /// The elements of a gradient to be written, where there is one.
    ///
    /// # Errors
    /// Another dtype than `T`.
    pub fn elements<T: FusedKind>(gradient: &mut Option<Self>) -> Result<Option<&mut [T]>> {
        Ok(gradient.as_mut().map(|gradient| slice_mut(&mut gradient.values)).transpose()?)
    }
}

impl From<Tensor> for Gradient {
    fn from(values: Tensor) -> Self {
        Self { rows: None, values }
    }
}

/// The first three of a node's gradients as those of a linear layer: hidden states, weight and
/// bias, to be overwritten.
///
/// # Errors
/// Another dtype than `T`.
pub fn linear_gradients<T: FusedKind>(made: &mut [Option<Gradient>]) -> Result<linear_ce::Gradients<'_, T>> {
    let mut made = made.iter_mut().map(Gradient::elements);
    let mut next = || made.next().transpose().map(Option::flatten);
    Ok(linear_ce::Gradients { hidden: next()?, weight: next()?, bias: next()?, accumulate: false })
}
