//! Log-probabilities of all words: one product for all nodes, then sums down the tree, a level at a
//! time.

use lexmax_output::Result;
use lexmax_output::dense::wide;
use tch::Tensor;

use super::nodes::Nodes;
use crate::tree::CodeTree;

/// `[N, V]` from hidden `[N, D]`; differentiable. Memory: about five arrays of that size.
pub(super) fn log_probs(tree: &CodeTree, nodes: &Nodes, hidden: &Tensor) -> Result<Tensor> {
    let rows = hidden.size()[0];
    let logits = wide(&nodes.all_logits(hidden)?)?;
    // Nodes come first in every array here, so a level is a contiguous block. Splitting (not
    // slicing) a tensor keeps the backward pass to one concatenation.
    let sizes: Vec<i64> = tree.levels().iter().map(|level| level.inner).collect();
    let by_level = logits.f_split_with_sizes(&sizes, 0)?;
    let mut level_log_probs = Tensor::f_zeros([1, rows], (logits.kind(), logits.device()))?;
    let mut leaves = Vec::with_capacity(by_level.len());
    for (level, logits) in tree.levels().iter().zip(&by_level) {
        let mut of_leaves = level_log_probs.f_split_with_sizes([level.leaves, level.inner], 0)?;
        let of_inner = of_leaves.split_off(1).remove(0);
        leaves.append(&mut of_leaves);
        // log sigmoid of -z on its own: `log sigmoid(z) - z` loses all digits where z is far below
        // zero.
        let branches = [
            of_inner.f_add(&logits.f_log_sigmoid()?)?, // branch 0
            of_inner.f_add(&logits.f_neg()?.f_log_sigmoid()?)?,
        ];
        level_log_probs = Tensor::f_stack(&branches, 1)?.f_view([2 * level.inner, rows])?;
    }
    // Leaves are in the order of the ids, level by level.
    Ok(Tensor::f_cat(&leaves, 0)?.f_transpose(0, 1)?.f_contiguous()?)
}
