//! The node of libtorch's graph that every fused loss is: a sweep forward, its gradients backward.

use lexmax_autograd::cpu::slice;
use lexmax_autograd::sparse::rows_of;
use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result as NodeResult, apply};
use lexmax_kernels::linear_ce::Upstream;
use tch::{Device, Kind, Tensor};

use super::inputs::{Gradient, Gradients, Inputs};
use super::workspaces::FusedKind;
use crate::Result;

/// A kernel with the batch that it was prepared for: one value for each row from the inputs of a
/// node, the hidden states first.
///
/// A sweep must not read a tensor of its own in [`gradients`](Self::gradients) that somebody else
/// can change, unless it is among the [`watched`](Self::watched): the gradients are those of the
/// values that the forward pass saw.
pub trait Sweep: Send + 'static {
    /// Name of the node in errors.
    const NAME: &'static str;

    /// The value of each row, `[M]`.
    ///
    /// # Errors
    /// Inputs that the kernel refuses.
    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>>;

    /// The value of each row, and the gradients of `sum_i upstream_i value_i` by the inputs that
    /// are wanted, one entry for each input.
    ///
    /// # Errors
    /// Inputs that the kernel refuses.
    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)>;

    /// The gradients alone, after [`Sweep::values`] of the same inputs: a sweep that remembers
    /// something of that pass saves work.
    ///
    /// # Errors
    /// Inputs that the kernel refuses.
    fn gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<Gradients> {
        Ok(self.values_and_gradients::<T>(inputs, upstream, wanted)?.1)
    }

    /// Tensors beside the inputs that [`Sweep::gradients`] reads: a change of them in place between
    /// the passes is an error.
    fn watched(&self) -> Vec<&Tensor> {
        Vec::new()
    }
}

/// Factor of each row's value in the output of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Factor {
    /// The output is the sum of the values times this.
    Known(f64),
    /// The output is the sum of each value times its own factor, `[M]`.
    Rows(Vec<f64>),
    /// The output is one value a row; the factors are the upstream gradient.
    OfEachRow,
}

impl Factor {
    fn known(&self) -> Option<Upstream<'_, f64>> {
        match self {
            Self::Known(factor) => Some(Upstream::Same(*factor)),
            Self::Rows(factors) => Some(Upstream::Rows(factors)),
            Self::OfEachRow => None,
        }
    }
}

/// One call of a fused kernel as a node of libtorch's graph.
///
/// With known factors of the rows the forward pass makes the gradients together with the
/// values, and the backward pass hands them over. Where they are not, the node saves its inputs as
/// they are (not a contiguous copy, whose changes nobody would notice), and the backward pass
/// sweeps again.
#[derive(Debug)]
pub struct Node<S> {
    sweep: S,
    factor: Factor,
    sparse: bool,
    /// For each input what was saved: the gradient by it, or itself where the backward pass sweeps
    /// again.
    saved: Vec<Option<Saved>>,
    /// Indices of the saved tensors of [`Sweep::watched`].
    watched: Vec<usize>,
}

/// A saved tensor.
#[derive(Debug)]
struct Saved {
    index: usize,
    /// Rows that a saved gradient is for.
    rows: Option<Tensor>,
    /// Shape of the input.
    size: Vec<i64>,
}

impl<S: Sweep> Node<S> {
    /// A node whose gradients are dense.
    pub fn new(sweep: S, factor: Factor) -> Self {
        Self { sweep, factor, sparse: false, saved: Vec::new(), watched: Vec::new() }
    }

    /// Whether gradients that the sweep makes for some rows of an input stay row-sparse.
    pub fn with_sparse_gradients(self, sparse: bool) -> Self {
        Self { sparse, ..self }
    }

    /// Runs the forward pass: a scalar, or one value a row, `[M]`, with [`Factor::OfEachRow`].
    ///
    /// # Errors
    /// Inputs that the kernel refuses.
    pub fn apply(self, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Ok(apply(self, inputs)?.remove(0))
    }

    fn forward_in<T: FusedKind>(&mut self, context: &mut ForwardContext<'_>) -> Result<Tensor> {
        let count = context.n_inputs();
        let inputs = Inputs::new((0..count).map(|index| context.optional_input(index)))?;
        let Some(upstream) = self.factor.known() else {
            let values = self.sweep.values::<T>(&inputs)?;
            let originals: Vec<_> = (0..count).map(|index| context.optional_input(index)).collect();
            let mut save =
                |input: &Tensor| Saved { index: context.save(input), rows: None, size: input.size() };
            self.saved = originals.into_iter().map(|input| input.map(&mut save)).collect();
            self.watched = self.sweep.watched().into_iter().map(|tensor| context.save(tensor)).collect();
            return Ok(Tensor::f_from_slice(&values)?.f_to_kind(T::KIND)?);
        };
        let wanted: Vec<bool> = (0..count).map(|index| context.needs_input_grad(index)).collect();
        let values = if wanted.contains(&true) {
            let (values, gradients) = self.sweep.values_and_gradients::<T>(&inputs, upstream, &wanted)?;
            let save = |(index, gradient): (usize, Option<Gradient>)| {
                let (gradient, size) = (gradient?, inputs.get(index)?.size());
                Some(Saved { index: context.save(&gradient.values), rows: gradient.rows, size })
            };
            self.saved = gradients.into_iter().enumerate().map(save).collect();
            values
        } else {
            self.sweep.values::<T>(&inputs)?
        };
        let total = match upstream {
            Upstream::Same(factor) => values.iter().fold(0.0, |sum, value| sum + value) * factor,
            Upstream::Rows(factors) => values.iter().zip(factors).map(|(value, factor)| value * factor).sum(),
        };
        Ok(Tensor::f_full([0_i64; 0], total, (T::KIND, Device::Cpu))?)
    }

    /// Gradients that the forward pass made, times the upstream gradient of the one output. They
    /// are scaled in place, and become a leaf's `grad` without a copy, unless the graph is kept.
    fn scale_made(&self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        let upstream = context.grad_output(0)?.f_double_value(&[])?;
        let scaled = |(input, saved): (usize, &Option<Saved>)| {
            let Some(saved) = saved.as_ref().filter(|_| context.needs_input_grad(input)) else {
                return Ok(None);
            };
            let mut made = context.take_saved(saved.index)?;
            let values = match upstream {
                1.0 => made,
                _ if context.keep_graph() => made.f_mul_scalar(upstream)?,
                _ => made.f_mul_scalar_(upstream)?,
            };
            self.laid_out(saved.rows.as_ref(), values, &saved.size).map(Some)
        };
        self.saved.iter().enumerate().map(scaled).collect()
    }

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again<T: FusedKind>(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        for index in &self.watched {
            // libtorch looks at the version here; the sweep holds the tensor itself.
            let _unchanged = context.saved(*index)?;
        }
        let again =
            |saved: &Option<Saved>| saved.as_ref().map(|saved| context.saved(saved.index)).transpose();
        let inputs = self.saved.iter().map(again).collect::<std::result::Result<Vec<_>, _>>()?;
        let inputs = Inputs::new(inputs.iter().map(Option::as_ref))?;
        let wanted: Vec<bool> = (0..self.saved.len()).map(|index| context.needs_input_grad(index)).collect();
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        let upstream: Vec<f64> = slice::<T>(&upstream)?.iter().map(|factor| factor.to_f64()).collect();
        let gradients = self.sweep.gradients::<T>(&inputs, Upstream::Rows(&upstream), &wanted)?;
        let lay_out = |(gradient, saved): (Option<Gradient>, &Option<Saved>)| {
            let (Some(gradient), Some(saved)) = (gradient, saved) else { return Ok(None) };
            self.laid_out(gradient.rows.as_ref(), gradient.values, &saved.size).map(Some)
        };
        gradients.into_iter().zip(&self.saved).map(lay_out).collect()
    }

    /// A gradient in the layout that was asked for.
    fn laid_out(&self, rows: Option<&Tensor>, values: Tensor, size: &[i64]) -> Result<Tensor> {
        Ok(match rows {
            None => values,
            Some(rows) if self.sparse => rows_of(rows, &values, size)?,
            Some(rows) => {
                let mut dense = Tensor::f_zeros(size, (values.kind(), values.device()))?;
                dense.f_index_copy_(0, rows, &values)?
            }
        })
    }
}

impl<S: Sweep> Function for Node<S> {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> NodeResult<Vec<Tensor>> {
        let output = match context.input(0)?.kind() {
            Kind::Double => self.forward_in::<f64>(context)?,
            _ => self.forward_in::<f32>(context)?,
        };
        Ok(vec![output])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> NodeResult<Vec<Option<Tensor>>> {
        Ok(match (&self.factor, context.grad_output(0)?.kind()) {
            (Factor::Known(_) | Factor::Rows(_), _) => self.scale_made(context)?,
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context)?,
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context)?,
        })
    }

    fn name() -> &'static str {
        S::NAME
    }
}

/// Factors of the rows in the dtype of a kernel; `memory` holds them.
pub fn in_kind<'a, T: FusedKind>(upstream: Upstream<'_, f64>, memory: &'a mut Vec<T>) -> Upstream<'a, T> {
    match upstream {
        Upstream::Same(factor) => Upstream::Same(factor),
        Upstream::Rows(factors) => {
            memory.extend(factors.iter().map(|factor| T::from_f64(*factor)));
            Upstream::Rows(memory)
        }
    }
}
