//! A kernel as what a node computes: its sweep over slices, for f32 and f64 on the CPU.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use tch::{Device, Kind, Tensor};

use super::inputs::{Gradients, Inputs};
use super::workspaces::FusedKind;
use crate::Result;
use crate::node::TensorSweep;

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

/// A [`Sweep`] over slices as a sweep over tensors.
#[derive(Debug)]
pub struct KernelSweep<S>(pub(crate) S);

impl<S: Sweep> KernelSweep<S> {
    fn values_in<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Tensor> {
        let values = self.0.values::<T>(inputs)?;
        Ok(Tensor::f_from_slice(&values)?.f_to_kind(T::KIND)?)
    }

    fn total_in<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        let (values, gradients) = if wanted.contains(&true) {
            self.0.values_and_gradients::<T>(inputs, upstream, wanted)?
        } else {
            (self.0.values::<T>(inputs)?, Gradients::new())
        };
        let total = match upstream {
            Upstream::Same(factor) => values.iter().fold(0.0, |sum, value| sum + value) * factor,
            Upstream::Rows(factors) => values.iter().zip(factors).map(|(value, factor)| value * factor).sum(),
        };
        Ok((Tensor::f_full([0_i64; 0], total, (T::KIND, Device::Cpu))?, gradients))
    }

    fn gradients_in<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: &Tensor,
        wanted: &[bool],
    ) -> Result<Gradients> {
        let upstream = upstream.f_to_kind(T::KIND)?.f_contiguous()?;
        let upstream: Vec<f64> = slice::<T>(&upstream)?.iter().map(|factor| factor.to_f64()).collect();
        self.0.gradients::<T>(inputs, Upstream::Rows(&upstream), wanted)
    }
}

impl<S: Sweep> TensorSweep for KernelSweep<S> {
    const NAME: &'static str = S::NAME;

    fn values(&mut self, inputs: &Inputs) -> Result<Tensor> {
        match inputs.tensor(0)?.kind() {
            Kind::Double => self.values_in::<f64>(inputs),
            _ => self.values_in::<f32>(inputs),
        }
    }

    fn total_and_gradients(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        match inputs.tensor(0)?.kind() {
            Kind::Double => self.total_in::<f64>(inputs, upstream, wanted),
            _ => self.total_in::<f32>(inputs, upstream, wanted),
        }
    }

    fn gradients(&mut self, inputs: &Inputs, upstream: &Tensor, wanted: &[bool]) -> Result<Gradients> {
        match inputs.tensor(0)?.kind() {
            Kind::Double => self.gradients_in::<f64>(inputs, upstream, wanted),
            _ => self.gradients_in::<f32>(inputs, upstream, wanted),
        }
    }

    fn watched(&self) -> Vec<&Tensor> {
        self.0.watched()
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
