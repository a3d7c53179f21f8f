//! The softmaxes of a layer as a node of the graph reads them.

use tch::Tensor;

use crate::partition::Partition;
use crate::tail::Tail;

/// Place of the hidden states among the inputs of a node; weight and bias of the head follow.
pub(crate) const HIDDEN: usize = 0;
/// Place of the first cluster's projection, weight and bias; those of the others follow.
const FIRST_CLUSTER: usize = 3;
const PER_CLUSTER: usize = 3;

/// The softmaxes of a layer: how the classes are divided among them, and their parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub partition: &'a Partition,
    pub head_weight: &'a Tensor,
    pub head_bias: Option<&'a Tensor>,
    pub tails: &'a [Tail],
}

impl<'a> Parts<'a> {
    /// Inputs of a node: hidden states, weight and bias of the head, then projection, weight and
    /// bias of each cluster. Biases may be missing.
    pub fn inputs(&self, hidden: &'a Tensor) -> Vec<Option<&'a Tensor>> {
        let head = [Some(hidden), Some(self.head_weight), self.head_bias];
        head.into_iter().chain(self.tails.iter().flat_map(Tail::parameters)).collect()
    }
}

/// Places of a cluster's projection, weight and bias among the inputs.
pub(crate) fn places(cluster: usize) -> [usize; PER_CLUSTER] {
    let first = FIRST_CLUSTER + PER_CLUSTER * cluster;
    [first, first + 1, first + 2]
}

/// Number of inputs of a layer with so many clusters.
pub(crate) fn input_count(clusters: usize) -> usize {
    FIRST_CLUSTER + PER_CLUSTER * clusters
}
