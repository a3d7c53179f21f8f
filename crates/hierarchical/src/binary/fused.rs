//! The sweep over paths for the fused node.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::tree::{self, Batch, Gradients, Table};
use lexmax_output::Result;
use lexmax_output::fused::{self, ByKind, FusedKind, Gradient, Inputs, Sweep, Workspaces, in_kind};
use tch::Tensor;

use super::nodes::Nodes;
use crate::tree::Paths;

/// Places of the inputs; the bias may be missing.
pub(super) const HIDDEN: usize = 0;
pub(super) const WEIGHT: usize = 1;
pub(super) const BIAS: usize = 2;

/// Makes workspaces of sweeps over paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathWorkspaces;

impl Workspaces for PathWorkspaces {
    type Of<T: FusedKind> = tree::Workspace<T>;

    fn for_threads<T: FusedKind>(&self, threads: usize) -> tree::Workspace<T> {
        tree::Workspace::new(threads)
    }
}

/// `log p` of each row's target by the nodes on its path.
#[derive(Debug)]
pub(super) struct PathSweep {
    batch: Batch,
    workspaces: ByKind<PathWorkspaces>,
}

impl PathSweep {
    pub fn new(
        paths: &Paths,
        nodes: &Nodes,
        targets: &Tensor,
        workspaces: &ByKind<PathWorkspaces>,
    ) -> Result<Self> {
        let table = Table { offsets: slice(paths.offsets())?, steps: slice(paths.steps())? };
        let targets = targets.f_contiguous()?;
        let node_count = usize::try_from(nodes.weight().size()[0]).unwrap_or(0);
        let batch = Batch::new(table, slice(&targets)?, node_count)?;
        Ok(Self { batch, workspaces: workspaces.clone() })
    }
}

impl Sweep for PathSweep {
    const NAME: &'static str = "fused log-probabilities over paths";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let linear = inputs.linear::<T>([HIDDEN, WEIGHT, BIAS])?;
        Ok(self.workspaces.with(|workspace| tree::log_prob(linear, &self.batch, workspace))?)
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, fused::Gradients)> {
        let (linear, mut factors) = (inputs.linear::<T>([HIDDEN, WEIGHT, BIAS])?, Vec::new());
        let upstream = in_kind(upstream, &mut factors);
        let rows = Tensor::f_from_slice(self.batch.nodes())?;
        let mut hidden = inputs.gradient(HIDDEN, wanted, None)?;
        let mut weight = inputs.gradient(WEIGHT, wanted, Some(&rows))?;
        let mut bias = inputs.gradient(BIAS, wanted, Some(&rows))?;
        let into = Gradients {
            hidden: Gradient::elements(&mut hidden)?,
            weight: Gradient::elements(&mut weight)?,
            bias: Gradient::elements(&mut bias)?,
        };
        let log_prob = self
            .workspaces
            .with(|workspace| tree::log_prob_and_gradients(linear, &self.batch, upstream, into, workspace))?;
        Ok((log_prob, vec![hidden, weight, bias]))
    }
}
