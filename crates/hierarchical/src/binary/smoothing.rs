//! Label smoothing over the words of a binary tree: every node with the weights of the words below
//! its branches.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::choices::value_and_gradients;
use lexmax_kernels::linear_ce::{self, Upstream};
use lexmax_output::fused::{FusedKind, Gradients, Inputs, Scratch, Sweep, in_kind, linear_gradients};
use lexmax_output::{BuildContext, Result};
use tch::Tensor;

use super::fused::{BIAS, HIDDEN, WEIGHT};
use crate::tree::CodeTree;

/// `sum_w c_w log p(w)` over all words `w`.
#[derive(Debug)]
pub(super) struct EveryNode {
    /// Weight of the words below branch 0 and below branch 1 of each node, `[V - 1]` each.
    branches: [Tensor; 2],
    scratch: Scratch,
}

impl EveryNode {
    /// Sums the weights `c` (one each where there are none) up the tree: `O(V)`.
    pub fn new(tree: &CodeTree, class_weights: Option<&[f64]>, context: &BuildContext<'_>) -> Result<Self> {
        let nodes = tree.lengths().len().saturating_sub(1);
        let mut branches = [vec![0.0; nodes], vec![0.0; nodes]];
        // Weights of the nodes of the level below: leaves come first, then inner nodes.
        let mut below: Vec<f64> = Vec::new();
        for level in tree.levels().iter().rev() {
            let first = level.first_word as usize;
            let mut weights: Vec<f64> = match class_weights {
                Some(weights) => weights[first..first + level.leaves as usize].to_vec(),
                None => vec![1.0; level.leaves as usize],
            };
            for (node, pair) in (level.first_node as usize..).zip(below.chunks_exact(2)) {
                branches[0][node] = pair[0];
                branches[1][node] = pair[1];
                weights.push(pair[0] + pair[1]);
            }
            below = weights;
        }
        let tensor = |branch: &[f64]| Tensor::f_from_slice(branch)?.f_to_kind(context.kind());
        let branches = [tensor(&branches[0])?, tensor(&branches[1])?];
        Ok(Self { branches, scratch: context.scratch(1)? })
    }

    /// A share for one node of libtorch's graph.
    pub fn share(&self) -> Self {
        let branches = self.branches.each_ref().map(Tensor::shallow_clone);
        Self { branches, scratch: self.scratch.clone() }
    }
}

impl EveryNode {
    fn run<T: FusedKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        into: linear_ce::Gradients<'_, T>,
    ) -> Result<Vec<f64>> {
        let linear = inputs.linear([HIDDEN, WEIGHT, BIAS])?;
        let branches = [slice(&self.branches[0])?, slice(&self.branches[1])?];
        Ok(self.scratch.with(|workspace| value_and_gradients(linear, branches, upstream, into, workspace))?)
    }
}

impl Sweep for EveryNode {
    const NAME: &'static str = "fused smoothing over a tree";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        self.run::<T>(inputs, Upstream::Same(0.0), linear_ce::Gradients::default())
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let made = [HIDDEN, WEIGHT, BIAS].map(|index| inputs.gradient(index, wanted, None));
        let (mut made, mut factors) = (made.into_iter().collect::<Result<Gradients>>()?, Vec::new());
        let upstream = in_kind::<T>(upstream, &mut factors);
        Ok((self.run(inputs, upstream, linear_gradients(&mut made)?)?, made))
    }
}
