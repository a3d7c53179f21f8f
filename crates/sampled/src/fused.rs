//! The fused path: loss and gradients of the touched rows by `lexmax_kernels::gathered`, as one node of libtorch's graph.

use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_autograd::sparse::rows_of;
use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_kernels::gathered::{self, Candidates, Gradients, Negatives, Workspace};
use lexmax_kernels::linear_ce;
use lexmax_output::fused::{FusedKind, Kept, Scratch, take_made};
use lexmax_output::{Batch, BuildContext, Linear, OutputError, Result, TrainingLoss};
use tch::{Kind, Tensor};

use crate::Objective;

/// What a layer on the fused path keeps.
#[derive(Debug)]
pub(crate) struct Fused {
    /// Workspace of the exact queries.
    pub(crate) queries: Scratch,
    training: Training,
    sparse: bool,
}

/// Workspaces of the training loss, shared with the nodes that it makes.
#[derive(Debug, Clone, Default)]
struct Training {
    single: Kept<Workspace<f32>>,
    double: Kept<Workspace<f64>>,
}

/// The kinds of the fused path, each with its workspace.
trait Number: FusedKind {
    fn workspace(training: &Training) -> &Kept<Workspace<Self>>;
}

impl Number for f32 {
    fn workspace(training: &Training) -> &Kept<Workspace<Self>> {
        &training.single
    }
}

impl Number for f64 {
    fn workspace(training: &Training) -> &Kept<Workspace<Self>> {
        &training.double
    }
}

impl Fused {
    /// Gradients of weight and bias are row-sparse where the context says so.
    pub(crate) fn new(context: &BuildContext<'_>) -> Self {
        let sparse = context.sparse_gradients;
        Self { queries: context.scratch(1), training: Training::default(), sparse }
    }

    /// The training loss of a batch with targets `[M]` and the negatives that were drawn for it.
    ///
    /// For the reductions `mean` and `sum` gradients come from the same call as the loss; for `none` the backward pass computes them,
    /// since only then the factor of each row is known.
    pub(crate) fn loss(
        &self,
        batch: &Batch<'_>,
        linear: Linear<'_>,
        objective: Objective,
        targets: Vec<i64>,
        negatives: Negatives,
    ) -> Result<TrainingLoss> {
        let vocab_size = linear.weight.size()[0];
        let classes = usize::try_from(vocab_size).unwrap_or(0);
        let function = SampledLoss {
            candidates: Candidates::new(targets, negatives, classes).map_err(OutputError::fused)?,
            objective: objective.into(),
            factors: batch.row_factors()?,
            sparse: self.sparse,
            training: self.training.clone(),
            saved: [None; 3],
            vocab_size,
        };
        let each_row = function.factors.is_none();
        let inputs = [Some(linear.hidden), Some(linear.weight), linear.bias];
        let value = apply(function, &inputs).map_err(OutputError::fused)?.remove(0);
        if each_row { batch.surrogate(&value) } else { Ok(TrainingLoss::surrogate(value)) }
    }
}

impl From<Objective> for gathered::Objective {
    fn from(objective: Objective) -> Self {
        match objective {
            Objective::SampledSoftmax => Self::Softmax,
            Objective::Nce => Self::Logistic { corrected: true },
            Objective::NegativeSampling => Self::Logistic { corrected: false },
            Objective::OneVsEach => Self::Pairwise,
        }
    }
}

/// Inputs of the node, in this order; the bias may be undefined.
const HIDDEN: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;

/// One call. Its output is `sum_i factor_i l_i`, or `l` `[M]` where the factors are not known.
struct SampledLoss {
    candidates: Candidates,
    objective: gathered::Objective,
    factors: Option<Vec<f64>>,
    sparse: bool,
    training: Training,
    vocab_size: i64,
    /// Where the gradient of each input is among the saved tensors, or the input itself where the factors are not known.
    saved: [Option<usize>; 3],
}

impl SampledLoss {
    fn forward_in<T: Number>(
        &mut self,
        context: &mut ForwardContext<'_>,
    ) -> lexmax_autograd::Result<Vec<Tensor>> {
        let inputs = Inputs::of(|index| context.optional_input(index).map(Tensor::shallow_clone))?;
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let Some(factors) = self.factors.as_ref() else {
            let losses = self.losses::<T>(&inputs)?;
            self.saved = inputs.0.each_ref().map(|input| input.as_ref().map(|input| context.save(input)));
            return Ok(vec![Tensor::f_from_slice(&losses)?.f_to_kind(T::KIND)?]);
        };
        let losses = if wanted.contains(&true) {
            let (losses, made) = self.gradients::<T>(&inputs, wanted, factors)?;
            self.saved = made.map(|gradient| gradient.map(|gradient| context.save(&gradient)));
            losses
        } else {
            self.losses::<T>(&inputs)?
        };
        let total: f64 = losses.iter().zip(factors).map(|(loss, factor)| loss * factor).sum();
        Ok(vec![Tensor::f_full([0_i64; 0], total, (T::KIND, context.input(HIDDEN)?.device()))?])
    }

    fn losses<T: Number>(&self, inputs: &Inputs) -> lexmax_autograd::Result<Vec<f64>> {
        T::workspace(&self.training).with(Workspace::new, |workspace| {
            Ok(gathered::loss(inputs.linear::<T>()?, &self.candidates, self.objective, workspace)?)
        })
    }

    /// Losses, and the gradients of the wanted inputs: hidden `[M, D]`, of weight and bias the touched rows, `[R, D]` and `[R]`.
    fn gradients<T: Number>(
        &self,
        inputs: &Inputs,
        wanted: [bool; 3],
        upstream: &[f64],
    ) -> lexmax_autograd::Result<(Vec<f64>, [Option<Tensor>; 3])> {
        let touched = self.candidates.classes().len() as i64;
        let mut made = [None, None, None];
        for index in [HIDDEN, WEIGHT, BIAS] {
            let Some(input) = inputs.0[index].as_ref().filter(|_| wanted[index]) else { continue };
            let mut size = input.size();
            if index != HIDDEN {
                size[0] = touched;
            }
            // Empty is enough: the kernel overwrites all of it.
            made[index] = Some(Tensor::f_empty(&size, (input.kind(), input.device()))?);
        }
        let [hidden, weight, bias] = made.each_mut();
        let gradients = Gradients { hidden: into(hidden)?, weight: into(weight)?, bias: into(bias)? };
        let losses = T::workspace(&self.training).with(Workspace::new, |workspace| {
            gathered::loss_and_gradients(
                inputs.linear::<T>()?,
                &self.candidates,
                self.objective,
                upstream,
                gradients,
                workspace,
            )
            .map_err(lexmax_autograd::BoxError::from)
        })?;
        Ok((losses, made))
    }

    /// Gradients that the forward call made, times the upstream gradient of the one output.
    fn scale_made(&self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<[Option<Tensor>; 3]> {
        let mut gradients = [None, None, None];
        for (index, gradient) in gradients.iter_mut().enumerate() {
            let saved = self.saved[index].filter(|_| context.needs_input_grad(index));
            *gradient = saved.map(|saved| take_made(context, saved)).transpose()?;
        }
        Ok(gradients)
    }

    /// Gradients of the losses times the upstream gradient of each.
    fn compute_now<T: Number>(
        &self,
        context: &BackwardContext<'_>,
    ) -> lexmax_autograd::Result<[Option<Tensor>; 3]> {
        let saved = |index: usize| self.saved[index].map(|saved| context.saved(saved)).transpose();
        let inputs = Inputs([saved(HIDDEN)?, saved(WEIGHT)?, saved(BIAS)?]);
        let wanted = [HIDDEN, WEIGHT, BIAS].map(|index| context.needs_input_grad(index));
        let upstream =
            Vec::<f64>::try_from(context.grad_output(0)?.f_to_kind(Kind::Double)?.f_contiguous()?)?;
        Ok(self.gradients::<T>(&inputs, wanted, &upstream)?.1)
    }

    /// The gradient of a parameter from its touched rows: these alone, or all rows.
    fn of_all_rows(&self, rows: Tensor) -> lexmax_autograd::Result<Tensor> {
        let classes = Tensor::f_from_slice(self.candidates.classes())?;
        let mut size = rows.size();
        size[0] = self.vocab_size;
        if self.sparse {
            return Ok(rows_of(&classes, &rows, &size)?);
        }
        Ok(Tensor::f_zeros(&size, (rows.kind(), rows.device()))?.f_index_copy_(0, &classes, &rows)?)
    }
}

impl Function for SampledLoss {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        match context.input(HIDDEN)?.kind() {
            Kind::Double => self.forward_in::<f64>(context),
            _ => self.forward_in::<f32>(context),
        }
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let [hidden, weight, bias] = match (&self.factors, context.grad_output(0)?.kind()) {
            (Some(_), _) => self.scale_made(context)?,
            (None, Kind::Double) => self.compute_now::<f64>(context)?,
            (None, _) => self.compute_now::<f32>(context)?,
        };
        let of_all_rows = |rows: Option<Tensor>| rows.map(|rows| self.of_all_rows(rows)).transpose();
        Ok(vec![hidden, of_all_rows(weight)?, of_all_rows(bias)?])
    }

    fn name() -> &'static str {
        "fused sampled loss"
    }
}

/// A gradient that was just made, to be written.
fn into<T: FusedKind>(made: &mut Option<Tensor>) -> lexmax_autograd::Result<Option<&mut [T]>> {
    Ok(made.as_mut().map(slice_mut).transpose()?)
}

/// The inputs, contiguous, by their index.
struct Inputs([Option<Tensor>; 3]);

impl Inputs {
    fn of(get: impl Fn(usize) -> Option<Tensor>) -> lexmax_autograd::Result<Self> {
        let contiguous = |index| get(index).map(|tensor: Tensor| tensor.f_contiguous()).transpose();
        Ok(Self([contiguous(HIDDEN)?, contiguous(WEIGHT)?, contiguous(BIAS)?]))
    }

    fn linear<T: Number>(&self) -> lexmax_autograd::Result<linear_ce::Linear<'_, T>> {
        let [Some(hidden), Some(weight), bias] = &self.0 else {
            return Err("hidden states and weight must be given".into());
        };
        Ok(linear_ce::Linear {
            hidden: slice(hidden)?,
            weight: slice(weight)?,
            bias: bias.as_ref().map(slice).transpose()?,
            hidden_size: usize::try_from(weight.size()[1]).unwrap_or(0),
        })
    }
}
