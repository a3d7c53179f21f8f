//! The node of libtorch's graph: a sweep forward, its gradients backward.

use lexmax_autograd::cpu::slice;
use lexmax_autograd::sparse::rows_of;
use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result as NodeResult, apply};
use lexmax_kernels::linear_ce::Upstream;
use lexmax_output::fused::take_made;
use lexmax_output::{OutputError, Result};
use tch::{Kind, Tensor};

use super::{Fused, Gradient, Inputs, Sweep, TreeKind};

/// Derivative of the node's output by each row's `log p`.
pub(super) enum Factor {
    /// The output is the sum of `log p` times this.
    Same(f64),
    /// The output is the sum of `log p` times these, `[M]`.
    Rows(Tensor),
    /// The output is `log p` of each row; the factors are the upstream gradient.
    OfEachRow,
}

/// One call.
pub(super) struct Node<S> {
    sweep: S,
    factor: Factor,
    fused: Fused,
    /// What was saved for each input that was there: the gradient by it where the forward sweep made them, itself where not.
    saved: Vec<Option<Saved>>,
}

/// A saved tensor.
struct Saved {
    index: usize,
    /// Of a gradient: the rows that it is for.
    rows: Option<Tensor>,
    /// Of the input.
    size: Vec<i64>,
}

impl<S: Sweep> Node<S> {
    pub fn new(sweep: S, factor: Factor, fused: &Fused) -> Self {
        Self { sweep, factor, fused: fused.clone(), saved: Vec::new() }
    }

    pub fn apply(self, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Ok(apply(self, inputs).map_err(OutputError::fused)?.remove(0))
    }

    fn forward_in<T: TreeKind>(&mut self, context: &mut ForwardContext<'_>) -> NodeResult<Tensor> {
        let count = context.n_inputs();
        let inputs = Inputs::of((0..count).map(|index| context.optional_input(index)))?;
        let wanted: Vec<bool> = (0..count).map(|index| context.needs_input_grad(index)).collect();
        let workspaces = T::workspaces(&self.fused);
        let upstream = match &self.factor {
            Factor::OfEachRow => {
                let log_prob = self.sweep.log_prob(&inputs, workspaces)?;
                let mut save =
                    |input: &Tensor| Saved { index: context.save(input), rows: None, size: input.size() };
                self.saved = inputs.0.iter().map(|input| input.as_ref().map(&mut save)).collect();
                return Ok(Tensor::f_from_slice(&log_prob)?.f_to_kind(T::KIND)?);
            }
            Factor::Same(factor) => Upstream::Same(*factor),
            Factor::Rows(factors) => Upstream::Rows(slice(factors)?),
        };
        let log_prob = if wanted.contains(&true) {
            let (log_prob, gradients) = self.sweep.gradients(&inputs, upstream, &wanted, workspaces)?;
            let save = |(gradient, input): (Option<Gradient>, &Option<Tensor>)| {
                let (gradient, size) = (gradient?, input.as_ref()?.size());
                Some(Saved { index: context.save(&gradient.values), rows: gradient.rows, size })
            };
            self.saved = gradients.into_iter().zip(&inputs.0).map(save).collect();
            log_prob
        } else {
            self.sweep.log_prob(&inputs, workspaces)?
        };
        let total = match upstream {
            Upstream::Same(factor) => log_prob.iter().sum::<f64>() * factor,
            Upstream::Rows(factors) => log_prob.iter().zip(factors).map(|(l, f)| l * f.to_f64()).sum(),
        };
        Ok(Tensor::f_full([0_i64; 0], total, (T::KIND, inputs.tensor(0)?.device()))?)
    }

    /// Gradients that the forward sweep made, times the upstream gradient of the one output.
    fn scale_made(&self, context: &BackwardContext<'_>) -> NodeResult<Vec<Option<Tensor>>> {
        let scaled = |(input, saved): (usize, &Option<Saved>)| {
            let Some(saved) = saved.as_ref().filter(|_| context.needs_input_grad(input)) else {
                return Ok(None);
            };
            let values = take_made(context, saved.index)?;
            self.laid_out(saved.rows.as_ref(), values, &saved.size).map(Some)
        };
        self.saved.iter().enumerate().map(scaled).collect()
    }

    /// Sweeps again, now that the factor of each row is known.
    fn sweep_again<T: TreeKind>(&self, context: &BackwardContext<'_>) -> NodeResult<Vec<Option<Tensor>>> {
        let again =
            |saved: &Option<Saved>| saved.as_ref().map(|saved| context.saved(saved.index)).transpose();
        let inputs = Inputs(self.saved.iter().map(again).collect::<std::result::Result<_, _>>()?);
        let wanted: Vec<bool> =
            (0..context.n_inputs()).map(|index| context.needs_input_grad(index)).collect();
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        let (upstream, workspaces) = (Upstream::Rows(slice(&upstream)?), T::workspaces(&self.fused));
        let (_, gradients) = self.sweep.gradients(&inputs, upstream, &wanted, workspaces)?;
        let lay_out = |(gradient, saved): (Option<Gradient>, &Option<Saved>)| {
            let (Some(gradient), Some(saved)) = (gradient, saved) else { return Ok(None) };
            self.laid_out(gradient.rows.as_ref(), gradient.values, &saved.size).map(Some)
        };
        gradients.into_iter().zip(&self.saved).map(lay_out).collect()
    }

    /// A gradient in the layout that was asked for.
    fn laid_out(&self, rows: Option<&Tensor>, values: Tensor, size: &[i64]) -> NodeResult<Tensor> {
        Ok(match rows {
            None => values,
            Some(rows) if self.fused.sparse => rows_of(rows, &values, size)?,
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
        match (&self.factor, context.grad_output(0)?.kind()) {
            (Factor::Same(_) | Factor::Rows(_), _) => self.scale_made(context),
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context),
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context),
        }
    }

    fn name() -> &'static str {
        S::NAME
    }
}
