//! The sweeps of an adaptive softmax for the fused node: the head, then each cluster that a row
//! visits.

use lexmax_kernels::linear_ce::Upstream;
use lexmax_output::Result;
use lexmax_output::fused::{FusedKind, Gradient, Gradients, Inputs, LinearSweep, Scratch, Sweep, in_kind};
use tch::{Device, Kind, Tensor};

use super::part::{Part, Pass, Projected};
use crate::parts::{HIDDEN, input_count, places};
use crate::smoothing::Smoothing;

/// Loss of each row of a batch.
#[derive(Debug)]
pub(super) struct AdaptiveSweep {
    pub head: Part,
    pub clusters: Vec<Part>,
    pub spread: Smoothing,
    pub scratch: Scratch,
}

impl AdaptiveSweep {
    /// One sweep of the head, then of each cluster that a row visits, in order; the wanted
    /// gradients of all inputs.
    fn run<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        pass: Pass<'_, T>,
        wanted: &[bool],
    ) -> Result<Gradients> {
        let hidden = inputs.tensor(HIDDEN)?;
        let layer = LinearSweep { inputs, scratch: &self.scratch };
        let mut gradients = self.head.sweep(layer, self.spread, pass, wanted)?;
        gradients.resize_with(wanted.len(), || None);
        for (index, part) in self.clusters.iter_mut().enumerate() {
            let [projection, weight, bias] = places(index);
            if part.is_empty() {
                for index in [projection, weight, bias] {
                    gradients[index] = nothing(inputs, index, wanted)?;
                }
                continue;
            }
            let through = inputs.tensor(projection)?;
            let projected = part.project::<T>(hidden, through, &self.scratch)?;
            let of_cluster = Inputs::new([Some(&projected), inputs.get(weight), inputs.get(bias)])?;
            let layer = LinearSweep { inputs: &of_cluster, scratch: &self.scratch };
            let own = [wanted[HIDDEN] || wanted[projection], wanted[weight], wanted[bias]];
            let mut made = part.sweep(layer, self.spread, pass, &own)?.into_iter();
            if let Some(d_projected) = made.next().flatten() {
                let d_hidden = gradients[HIDDEN].as_mut().map(|gradient| &mut gradient.values);
                let made = Projected { hidden, projection: through, d_projected: &d_projected.values };
                gradients[projection] = part
                    .project_back::<T>(made, wanted[projection], d_hidden, &self.scratch)?
                    .map(Gradient::from);
            }
            gradients[weight] = made.next().flatten();
            gradients[bias] = made.next().flatten();
        }
        Ok(gradients)
    }

    /// The losses that the last sweeps found, `[N]`.
    fn losses(&self) -> Vec<f64> {
        let mut losses = vec![0.0; self.head.targets.len()];
        for part in [&self.head].into_iter().chain(&self.clusters) {
            part.add_losses(&mut losses);
        }
        losses
    }
}

/// The gradient by a parameter that no row reads, of no rows: defined, so that no optimizer takes
/// the parameter for a forgotten one.
fn nothing(inputs: &Inputs, index: usize, wanted: &[bool]) -> Result<Option<Gradient>> {
    let rows = Tensor::f_empty([0], (Kind::Int64, Device::Cpu))?;
    inputs.gradient(index, wanted, Some(&rows))
}

impl Sweep for AdaptiveSweep {
    const NAME: &'static str = "fused adaptive cross-entropy";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let nothing = vec![false; input_count(self.clusters.len())];
        self.run::<T>(inputs, Pass::Loss, &nothing)?;
        Ok(self.losses())
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let mut factors = Vec::new();
        let gradients = self.run::<T>(inputs, Pass::Both(in_kind(upstream, &mut factors)), wanted)?;
        Ok((self.losses(), gradients))
    }

    fn gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<Gradients> {
        let mut factors = Vec::new();
        self.run::<T>(inputs, Pass::Again(in_kind(upstream, &mut factors)), wanted)
    }
}
