//! Tree-structured softmax: a word's probability is the product of the probabilities of the choices
//! on its path.
//!
//! * [`BinaryTree`]: `V - 1` two-way choices, in a Huffman tree over the training counts or in a
//!   balanced tree. A row of the loss scores as many inner nodes as its target's path is long,
//!   about `log2 V`.
//! * [`TwoLevel`]: one choice among `C` classes of words, then one within the class: about
//!   `2 sqrt V` scores a row.
//! * [`tree`]: the trees themselves, without parameters.
//!
//! Both have a fused path on a CPU: log-probabilities of targets, losses and gradients by the
//! kernels of `lexmax-kernels`, whose cost depends on the words of the batch and not on `V`, with
//! row-sparse gradients where they are asked for.
//!
//! All are exactly normalised, so perplexities and label smoothing are over all `V` words.
//! [`build`] makes the layer that a [`HierarchicalConfig`] names.
//!
//! # References
//! * Goodman 2001, "Classes for fast maximum entropy training" (arXiv cs/0108006): two levels.
//! * Morin & Bengio 2005, "Hierarchical probabilistic neural network language model" (AISTATS):
//!   binary trees.
//! * Mikolov et al. 2011, "Extensions of recurrent neural network language model" (ICASSP): classes
//!   as frequency bins.
//! * Mikolov et al. 2013, "Distributed representations of words and phrases" (arXiv 1310.4546):
//!   Huffman trees.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod best;
mod binary;
mod config;
mod fused;
mod host;
mod layer;
pub mod tree;
mod two_level;

pub use binary::BinaryTree;
pub use config::{Bins, HierarchicalConfig, TreeKind};
pub use layer::build;
pub use two_level::TwoLevel;

/// Names that a program around one of these layers uses, those of every layer with them.
///
/// ```
/// use lexmax_hierarchical::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() };
/// let layer = BinaryTree::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use lexmax_output::prelude::*;

    pub use crate::{BinaryTree, Bins, HierarchicalConfig, TreeKind, TwoLevel};
}

/// Name of the family in configurations and messages.
pub(crate) const NAME: &str = "hierarchical";

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
