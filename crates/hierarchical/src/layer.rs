//! From a configuration to a layer.

use lexmax_output::{BuildContext, OutputLayer, Result, WordCounts};

use crate::{BinaryTree, HierarchicalConfig, NAME, TreeKind, TwoLevel};

/// Builds the tree layer that the configuration names; the tree is fitted here, so its time is part
/// of this call.
///
/// # Errors
/// As [`BinaryTree::new`] and [`TwoLevel::new`].
///
/// ```
/// use lexmax_hierarchical::{HierarchicalConfig, TreeKind, build};
/// use lexmax_output::{BuildContext, WordCounts};
/// use tch::{Device, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let counts = WordCounts::new((1..=100).rev().collect())?;
/// for tree in [TreeKind::Huffman, TreeKind::Balanced, TreeKind::TwoLevel] {
///     let store = nn::VarStore::new(Device::Cpu);
///     let mut context = BuildContext::new(store.root(), 100, 16, 1);
///     context.counts = Some(&counts);
///     let layer = build(&context, &HierarchicalConfig { tree, ..HierarchicalConfig::default() })?;
///     assert_eq!(layer.vocab_size(), 100);
/// }
/// # Ok(())
/// # }
/// ```
pub fn build(context: &BuildContext<'_>, config: &HierarchicalConfig) -> Result<Box<dyn OutputLayer>> {
    Ok(match config.tree {
        TreeKind::Huffman | TreeKind::Balanced => Box::new(BinaryTree::new(context, config)?),
        TreeKind::TwoLevel => Box::new(TwoLevel::new(context, config)?),
    })
}

/// The counts, where they are needed or given: given ones must fit even when only the cost is
/// computed from them.
pub(crate) fn counts_if<'a>(context: &BuildContext<'a>, needed: bool) -> Result<Option<&'a WordCounts>> {
    if needed || context.counts.is_some() { context.counts_for(NAME).map(Some) } else { Ok(None) }
}
