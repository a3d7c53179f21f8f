//! The sweep over paths for the fused node.

use lexmax_autograd::Result as NodeResult;
use lexmax_autograd::cpu::{slice, slice_mut};
use lexmax_kernels::linear_ce::{Linear, Upstream};
use lexmax_kernels::paths::{self, Batch, Gradients, Table};
use lexmax_output::{OutputError, Result};
use tch::Tensor;

use super::nodes::Nodes;
use crate::fused::{Gradient, Inputs, Sweep, TreeKind, Workspaces};
use crate::tree::Paths;

/// Inputs of the node, in this order; the bias may be missing.
pub(super) const HIDDEN: usize = 0;
pub(super) const WEIGHT: usize = 1;
pub(super) const BIAS: usize = 2;

/// The paths of a batch's targets.
pub(super) struct PathSweep(Batch);

impl PathSweep {
    pub fn new(paths: &Paths, nodes: &Nodes, targets: &Tensor) -> Result<Self> {
        let table = Table { offsets: slice(paths.offsets())?, steps: slice(paths.steps())? };
        let targets = targets.f_contiguous()?;
        let node_count = usize::try_from(nodes.weight().size()[0]).unwrap_or(0);
        Ok(Self(Batch::new(table, slice(&targets)?, node_count).map_err(OutputError::fused)?))
    }
}

pub(super) fn linear<T: TreeKind>(inputs: &Inputs) -> Result<Linear<'_, T>> {
    Ok(Linear {
        hidden: inputs.slice(HIDDEN)?,
        weight: inputs.slice(WEIGHT)?,
        bias: inputs.optional(BIAS)?,
        hidden_size: usize::try_from(inputs.tensor(WEIGHT)?.size()[1]).unwrap_or(0),
    })
}

impl Sweep for PathSweep {
    const NAME: &'static str = "fused log-probabilities over paths";

    fn log_prob<T: TreeKind>(&self, inputs: &Inputs, workspaces: &Workspaces<T>) -> NodeResult<Vec<f64>> {
        let linear = linear(inputs)?;
        workspaces
            .paths
            .with(paths::Workspace::new, |workspace| Ok(paths::log_prob(linear, &self.0, workspace)?))
    }

    fn gradients<T: TreeKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
        workspaces: &Workspaces<T>,
    ) -> NodeResult<(Vec<f64>, Vec<Option<Gradient>>)> {
        let linear = linear(inputs)?;
        let rows = Tensor::f_from_slice(self.0.nodes())?;
        let mut hidden = inputs.room(HIDDEN, wanted, None)?;
        let mut weight = inputs.room(WEIGHT, wanted, Some(&rows))?;
        let mut bias = inputs.room(BIAS, wanted, Some(&rows))?;
        let into = Gradients {
            hidden: hidden.as_mut().map(|hidden| slice_mut(&mut hidden.values)).transpose()?,
            weight: weight.as_mut().map(|weight| slice_mut(&mut weight.values)).transpose()?,
            bias: bias.as_mut().map(|bias| slice_mut(&mut bias.values)).transpose()?,
        };
        let log_prob = workspaces.paths.with(paths::Workspace::new, |workspace| {
            paths::log_prob_and_gradients(linear, &self.0, upstream, into, workspace)
        })?;
        Ok((log_prob, vec![hidden, weight, bias]))
    }
}
