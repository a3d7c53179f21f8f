//! The two-level sweep for the fused node.

use lexmax_autograd::Result as NodeResult;
use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::two_level::{self, Gradients, Groups};
use lexmax_output::{OutputError, Result};
use tch::Tensor;

use super::classes::Classes;
use crate::fused::{Gradient, Inputs, Sweep, TreeKind, Workspaces};

/// Inputs of the node, in this order; biases may be missing.
const HIDDEN: usize = 0;
const CLASS_WEIGHT: usize = 1;
const CLASS_BIAS: usize = 2;
const WEIGHT: usize = 3;
const BIAS: usize = 4;

/// The rows of a batch by the class of their target.
pub(super) struct ClassSweep(Groups);

impl ClassSweep {
    pub fn new(classes: &Classes, targets: &Tensor) -> Result<Self> {
        let targets = targets.f_contiguous()?;
        Ok(Self(Groups::new(classes.starts(), slice(&targets)?).map_err(OutputError::fused)?))
    }
}

pub(super) fn layer<T: TreeKind>(inputs: &Inputs) -> Result<two_level::TwoLevel<'_, T>> {
    Ok(two_level::TwoLevel {
        hidden: inputs.slice(HIDDEN)?,
        class_weight: inputs.slice(CLASS_WEIGHT)?,
        class_bias: inputs.optional(CLASS_BIAS)?,
        weight: inputs.slice(WEIGHT)?,
        bias: inputs.optional(BIAS)?,
        hidden_size: usize::try_from(inputs.tensor(WEIGHT)?.size()[1]).unwrap_or(0),
    })
}

/// Room for the wanted gradients; those of the words for some of them, or for all.
pub(super) fn room(
    inputs: &Inputs,
    wanted: &[bool],
    words: Option<&Tensor>,
) -> Result<Vec<Option<Gradient>>> {
    // Every class is read by every row, so only the words have rows that were not.
    let room = |index| inputs.room(index, wanted, words.filter(|_| index >= WEIGHT));
    [HIDDEN, CLASS_WEIGHT, CLASS_BIAS, WEIGHT, BIAS].into_iter().map(room).collect()
}

/// The same as the kernels want it.
pub(super) fn into<T: TreeKind>(made: &mut [Option<Gradient>]) -> NodeResult<Gradients<'_, T>> {
    let mut into = Gradients::default();
    for (index, gradient) in made.iter_mut().enumerate() {
        let Some(gradient) = gradient else { continue };
        let numbers = Some(slice_mut(&mut gradient.values)?);
        match index {
            HIDDEN => into.hidden = numbers,
            CLASS_WEIGHT => into.class_weight = numbers,
            CLASS_BIAS => into.class_bias = numbers,
            WEIGHT => into.weight = numbers,
            _ => into.bias = numbers,
        }
    }
    Ok(into)
}

impl Sweep for ClassSweep {
    const NAME: &'static str = "fused log-probabilities over two levels";

    fn log_prob<T: TreeKind>(&self, inputs: &Inputs, workspaces: &Workspaces<T>) -> NodeResult<Vec<f64>> {
        let layer = layer(inputs)?;
        workspaces.with_two_level(|workspace| Ok(two_level::log_prob(layer, &self.0, workspace)?))
    }

    fn gradients<T: TreeKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
        workspaces: &Workspaces<T>,
    ) -> NodeResult<(Vec<f64>, Vec<Option<Gradient>>)> {
        let layer = layer(inputs)?;
        let words: Vec<i64> = self.0.words().map(|word| word as i64).collect();
        let words = Tensor::f_from_slice(&words)?;
        let mut made = room(inputs, wanted, Some(&words))?;
        let into = into(&mut made)?;
        let log_prob = workspaces.with_two_level(|workspace| {
            two_level::log_prob_and_gradients(layer, &self.0, upstream, into, workspace)
        })?;
        Ok((log_prob, made))
    }
}
