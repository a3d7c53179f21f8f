//! The adaptive softmax as one node of libtorch's graph.

use lexmax_autograd::cpu::slice;
use lexmax_autograd::sparse::rows_of;
use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_output::fused::{Factor, FusedKind, Scratch, Swept, take_made};
use lexmax_output::{OutputError, Result};
use tch::{Device, Kind, Tensor};

use super::part::{Part, Pass, Projected, Spread};

/// Inputs of the node: these, then projection, weight and bias of each cluster. Biases may be undefined.
const HIDDEN: usize = 0;
const HEAD_WEIGHT: usize = 1;
const HEAD_BIAS: usize = 2;
const FIRST_CLUSTER: usize = 3;
const PER_CLUSTER: usize = 3;

/// One call of the fused loss.
pub(super) struct AdaptiveCrossEntropy {
    pub head: Part,
    pub clusters: Vec<Part>,
    pub spread: Spread,
    pub factor: Factor,
    pub scratch: Scratch,
    /// Whether the parameters of clusters that no row visits get row-sparse gradients without rows.
    pub sparse: bool,
    /// Which saved tensor belongs to which input: the input itself where the backward pass sweeps again, its gradient where the
    /// forward pass made it.
    pub saved: Vec<Option<usize>>,
    /// Shapes of the inputs.
    pub shapes: Vec<Vec<i64>>,
}

impl AdaptiveCrossEntropy {
    pub fn apply(self, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Ok(apply(self, inputs).map_err(OutputError::fused)?.remove(0))
    }

    /// One sweep of the head, then of each cluster that a row visits, in order; the wanted gradients of the inputs, those of
    /// unvisited clusters excepted.
    fn sweep<T: FusedKind>(
        &mut self,
        inputs: &[Option<Tensor>],
        pass: Pass<'_, T>,
        wanted: &[bool],
    ) -> Result<Vec<Option<Tensor>>> {
        let input = |index: usize| {
            let missing = || OutputError::fused(format!("input {index} must be given"));
            inputs[index].as_ref().ok_or_else(missing)
        };
        let hidden = input(HIDDEN)?.f_contiguous()?;
        let layer = Swept::new(&hidden, input(HEAD_WEIGHT)?, inputs[HEAD_BIAS].as_ref())?;
        let head_wanted = [HIDDEN, HEAD_WEIGHT, HEAD_BIAS].map(|index| wanted[index]);
        let made = self.head.sweep(&layer, self.spread, pass, head_wanted, &self.scratch)?;
        let mut gradients = Vec::from(made.into_array());
        gradients.resize_with(inputs.len(), || None);
        for (index, part) in self.clusters.iter_mut().enumerate().filter(|(_, part)| !part.is_empty()) {
            let first = FIRST_CLUSTER + PER_CLUSTER * index;
            let [projection, weight, bias] = [first, first + 1, first + 2];
            let through = input(projection)?.f_contiguous()?;
            let projected = part.project::<T>(&hidden, &through, &self.scratch)?;
            let layer = Swept::new(&projected, input(weight)?, inputs[bias].as_ref())?;
            let layer_wanted = [wanted[HIDDEN] || wanted[projection], wanted[weight], wanted[bias]];
            let made = part.sweep(&layer, self.spread, pass, layer_wanted, &self.scratch)?;
            if let Some(d_projected) = &made.hidden {
                let d_hidden = gradients[HIDDEN].as_mut();
                let made = Projected { hidden: &hidden, projection: &through, d_projected };
                gradients[projection] =
                    part.project_back::<T>(made, wanted[projection], d_hidden, &self.scratch)?;
            }
            gradients[weight] = made.weight;
            gradients[bias] = made.bias;
        }
        Ok(gradients)
    }

    fn forward_in<T: FusedKind>(&mut self, context: &mut ForwardContext<'_>) -> Result<Tensor> {
        let inputs: Vec<Option<Tensor>> = (0..context.n_inputs())
            .map(|index| context.optional_input(index).map(Tensor::shallow_clone))
            .collect();
        self.shapes = inputs.iter().map(|input| input.as_ref().map_or_else(Vec::new, Tensor::size)).collect();
        let wanted: Vec<bool> = (0..inputs.len()).map(|index| context.needs_input_grad(index)).collect();
        let kept = match self.factor {
            Factor::Known(factor) if wanted.contains(&true) => {
                self.sweep::<T>(&inputs, Pass::Both(factor), &wanted)?
            }
            factor => {
                self.sweep::<T>(&inputs, Pass::Loss, &wanted)?;
                // Nothing is saved where nothing is recorded.
                if factor == Factor::OfEachRow { inputs } else { Vec::new() }
            }
        };
        self.saved = kept.iter().map(|tensor| tensor.as_ref().map(|tensor| context.save(tensor))).collect();
        let mut losses = vec![0.0; self.head.targets.len()];
        for part in [&self.head].into_iter().chain(&self.clusters) {
            part.add_losses(&mut losses);
        }
        Ok(match self.factor {
            Factor::Known(factor) => {
                let total = losses.iter().fold(0.0, |sum, loss| sum + loss);
                Tensor::f_full([0_i64; 0], total * factor, (T::KIND, Device::Cpu))?
            }
            Factor::OfEachRow => Tensor::f_from_slice(&losses)?.f_to_kind(T::KIND)?,
        })
    }

    /// The saved inputs, and one more sweep now that the factor of each row is known.
    fn sweep_again<T: FusedKind>(
        &mut self,
        context: &BackwardContext<'_>,
    ) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let saved = self.saved.iter().map(|saved| saved.map(|saved| context.saved(saved)).transpose());
        let inputs = saved.collect::<std::result::Result<Vec<_>, _>>()?;
        let wanted: Vec<bool> = (0..inputs.len()).map(|index| context.needs_input_grad(index)).collect();
        let upstream = context.grad_output(0)?.f_to_kind(T::KIND)?.f_contiguous()?;
        Ok(self.sweep(&inputs, Pass::Again(slice::<T>(&upstream)?), &wanted)?)
    }

    /// The gradients that the forward pass made.
    fn made(&self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let asked = self.saved.iter().enumerate().map(|(index, saved)| {
            saved
                .filter(|_| context.needs_input_grad(index))
                .map(|saved| take_made(context, saved))
                .transpose()
        });
        asked.collect()
    }

    /// The gradient of a parameter that no row reads: defined, so that no optimizer takes the parameter for a forgotten one.
    fn nothing(&self, index: usize, kind: Kind) -> Result<Tensor> {
        let (shape, on) = (&self.shapes[index], (kind, Device::Cpu));
        if !self.sparse {
            return Ok(Tensor::f_zeros(shape, on)?);
        }
        let none: Vec<i64> = [0].into_iter().chain(shape.iter().skip(1).copied()).collect();
        let rows = Tensor::f_zeros([0], (Kind::Int64, Device::Cpu))?;
        rows_of(&rows, &Tensor::f_zeros(&none, on)?, shape).map_err(OutputError::fused)
    }
}

impl Function for AdaptiveCrossEntropy {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        let output = match context.input(HIDDEN)?.kind() {
            Kind::Double => self.forward_in::<f64>(context)?,
            _ => self.forward_in::<f32>(context)?,
        };
        Ok(vec![output])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let kind = context.grad_output(0)?.kind();
        let mut gradients = match (self.factor, kind) {
            (Factor::Known(_), _) => self.made(context)?,
            (Factor::OfEachRow, Kind::Double) => self.sweep_again::<f64>(context)?,
            (Factor::OfEachRow, _) => self.sweep_again::<f32>(context)?,
        };
        for (index, gradient) in gradients.iter_mut().enumerate() {
            let there = !self.shapes[index].is_empty();
            if gradient.is_none() && there && context.needs_input_grad(index) {
                *gradient = Some(self.nothing(index, kind)?);
            }
        }
        Ok(gradients)
    }

    fn name() -> &'static str {
        "fused adaptive cross-entropy"
    }
}
