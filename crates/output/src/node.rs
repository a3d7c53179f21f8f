//! The node of libtorch's graph that every fused or chunked loss is: a sweep forward, its gradients
//! backward.

use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result as NodeResult, apply};
use lexmax_kernels::linear_ce::Upstream;
use tch::{Device, Tensor};

use crate::Result;
use crate::fused::{Gradient, Gradients, Inputs, KernelSweep, Sweep};

/// A computation with the batch that it was prepared for, on tensors of any device: one value for
/// each row from the inputs of a node, the hidden states first.
///
/// A sweep must not read a tensor of its own in [`gradients`](Self::gradients) that somebody else
/// can change, unless it is among the [`watched`](Self::watched): the gradients are those of the
/// values that the forward pass saw. Gradients are off while it runs.
pub trait TensorSweep: Send + 'static {
    /// Name of the node in errors.
    const NAME: &'static str;

    /// The value of each row, `[M]`.
    ///
    /// # Errors
    /// Inputs that the sweep refuses.
    fn values(&mut self, inputs: &Inputs) -> Result<Tensor>;

    /// The number `sum_i upstream_i value_i`, and its gradients by the inputs that are wanted, one
    /// entry for each input; no entry at all where none is.
    ///
    /// # Errors
    /// Inputs that the sweep refuses.
    fn total_and_gradients(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)>;

    /// The gradients of `sum_i upstream_i value_i`, `upstream` `[M]`, after [`TensorSweep::values`]
    /// of the same inputs.
    ///
    /// # Errors
    /// Inputs that the sweep refuses.
    fn gradients(&mut self, inputs: &Inputs, upstream: &Tensor, wanted: &[bool]) -> Result<Gradients>;

    /// Tensors beside the inputs that [`TensorSweep::gradients`] reads: a change of them in place
    /// between the passes is an error.
    fn watched(&self) -> Vec<&Tensor>;
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

/// One call of a fused kernel, or of a chunked computation, as a node of libtorch's graph.
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
    /// Indices of the saved tensors of [`TensorSweep::watched`].
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

impl<S: Sweep> Node<KernelSweep<S>> {
    /// A node of a kernel, whose gradients are dense.
    pub fn new(sweep: S, factor: Factor) -> Self {
        Self::of_tensors(KernelSweep(sweep), factor)
    }
}

impl<S: TensorSweep> Node<S> {
    /// A node of a computation on tensors, whose gradients are dense.
    pub fn of_tensors(sweep: S, factor: Factor) -> Self {
        Self { sweep, factor, sparse: false, saved: Vec::new(), watched: Vec::new() }
    }

    /// Whether gradients that the sweep makes for some rows of an input stay row-sparse.
    pub fn with_sparse_gradients(self, sparse: bool) -> Self {
        Self { sparse, ..self }
    }

    /// Runs the forward pass: a scalar, or one value a row, `[M]`, with [`Factor::OfEachRow`].
    ///
    /// # Errors
    /// Inputs that the sweep refuses.
    pub fn apply(self, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Ok(apply(self, inputs)?.remove(0))
    }

    fn forward_pass(&mut self, context: &mut ForwardContext<'_>) -> Result<Tensor> {
        let count = context.n_inputs();
        let inputs = Inputs::new((0..count).map(|index| context.optional_input(index)))?;
        let Some(upstream) = self.factor.known() else {
            let values = self.sweep.values(&inputs)?;
            let originals: Vec<_> = (0..count).map(|index| context.optional_input(index)).collect();
            let mut save =
                |input: &Tensor| Saved { index: context.save(input), rows: None, size: input.size() };
            self.saved = originals.into_iter().map(|input| input.map(&mut save)).collect();
            self.watched = self.sweep.watched().into_iter().map(|tensor| context.save(tensor)).collect();
            return Ok(values);
        };
        let wanted: Vec<bool> = (0..count).map(|index| context.needs_input_grad(index)).collect();
        let (total, gradients) = self.sweep.total_and_gradients(&inputs, upstream, &wanted)?;
        let save = |(index, gradient): (usize, Option<Gradient>)| {
            let (gradient, size) = (gradient?, inputs.get(index)?.size());
            Some(Saved { index: context.save(&gradient.values), rows: gradient.rows, size })
        };
        self.saved = gradients.into_iter().enumerate().map(save).collect();
        Ok(total)
    }

    /// Gradients that the forward pass made, times the upstream gradient of the one output. They
    /// are scaled in place, and become a leaf's `grad` without a copy, unless the graph is kept.
    fn scale_made(&self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        let upstream = context.grad_output(0)?;
        // A number is not read from another device: that would wait for all of its work.
        let number = match upstream.device() {
            Device::Cpu => Some(upstream.f_double_value(&[])?),
            _ => None,
        };
        let scaled = |(input, saved): (usize, &Option<Saved>)| {
            let Some(saved) = saved.as_ref().filter(|_| context.needs_input_grad(input)) else {
                return Ok(None);
            };
            let mut made = context.take_saved(saved.index)?;
            let values = match (number, context.keep_graph()) {
                (Some(1.0), _) => made,
                (Some(number), true) => made.f_mul_scalar(number)?,
                (Some(number), false) => made.f_mul_scalar_(number)?,
                (None, true) => made.f_mul(upstream)?,
                (None, false) => made.f_mul_(upstream)?,
            };
            self.laid_out(saved.rows.as_ref(), values, &saved.size).map(Some)
        };
        self.saved.iter().enumerate().map(scaled).collect()
    }

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        for index in &self.watched {
            // libtorch looks at the version here; the sweep holds the tensor itself.
            let _unchanged = context.saved(*index)?;
        }
        let again =
            |saved: &Option<Saved>| saved.as_ref().map(|saved| context.saved(saved.index)).transpose();
        let inputs = self.saved.iter().map(again).collect::<std::result::Result<Vec<_>, _>>()?;
        let inputs = Inputs::new(inputs.iter().map(Option::as_ref))?;
        let wanted: Vec<bool> = (0..self.saved.len()).map(|index| context.needs_input_grad(index)).collect();
        let gradients = self.sweep.gradients(&inputs, context.grad_output(0)?, &wanted)?;
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
            Some(rows) if self.sparse => lexmax_autograd::sparse::rows_of(rows, &values, size)?,
            Some(rows) => {
                let mut dense = Tensor::f_zeros(size, (values.kind(), values.device()))?;
                dense.f_index_copy_(0, rows, &values)?
            }
        })
    }
}

impl<S: TensorSweep> Function for Node<S> {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> NodeResult<Vec<Tensor>> {
        Ok(vec![self.forward_pass(context)?])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> NodeResult<Vec<Option<Tensor>>> {
        Ok(match self.factor {
            Factor::Known(_) | Factor::Rows(_) => self.scale_made(context)?,
            Factor::OfEachRow => self.sweep_again(context)?,
        })
    }

    fn name() -> &'static str {
        S::NAME
    }
}
