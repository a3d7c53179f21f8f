//! The binary tree layer: a word is reached by two-way choices.

mod dense;
mod draw;
mod fused;
mod nodes;
mod search;
mod smoothing;

use lexmax_kernels::seed::Generator;
use lexmax_output::dense::wide;
use lexmax_output::{
    BuildContext, ComputePath, Cost, LayerCost, LogProb, Loss, OutputError, OutputLayer, Result, TopK,
    TrainingLoss, check_k,
};
use tch::Tensor;

use crate::fused::Fused;
use crate::layer::counts_if;
use crate::tree::{CodeTree, Paths};
use crate::{HierarchicalConfig, NAME, TreeKind};
use fused::{PathSweep, PathWorkspaces};
use nodes::Nodes;
use smoothing::EveryNode;

/// Gathered values that an exact query on the reference path holds at once, elements of
/// `[steps, D]`.
const GATHERED: i64 = 1 << 22;

/// Binary tree of choices, `log p(w | h) = sum_t log sigmoid(s_t (v_t . h + b_t))` over the inner
/// nodes `t` on the path to `w`, where the sign `s_t` is 1 for branch 0 and -1 for branch 1 (Morin
/// & Bengio 2005; with a Huffman tree, Mikolov et al. 2013, arXiv 1310.4546).
///
/// * Shapes: hidden `[N, D]`, node vectors `weight` `[V - 1, D]`, `bias` `[V - 1]`. With `V = 1`
///   there are no parameters and every probability is 1.
/// * Cost of a loss: `2 N L D` operations forward, three times that with gradients, where `L` is
///   the mean path length of the targets (at most the entropy of the counts in bits plus 1 for
///   Huffman, `log2 V` rounded up for balanced). Only the `R` inner nodes on the targets' paths are
///   read, and only they get a gradient that is not zero. Label smoothing needs all words and costs
///   as much as a full softmax; on the fused path it is a sweep in tiles, and no `[N, V]` is made.
/// * Gradients on the fused path: with [`BuildContext::sparse_gradients`] those of `weight` and
///   `bias` are row-sparse (COO), of the `R` nodes in rising order, each once, and no step makes or
///   passes over `[V - 1, D]`; without, the `R` rows are written into zeros. On the reference path,
///   and with label smoothing, they are dense.
/// * Memory in training: on the fused path the gradients, `[N, D]` and `[R, D]`, and for each
///   thread at most one path of rows; on the reference path three arrays `[N L, D]`. The paths take
///   about `4 L + 8` bytes a word.
/// * `top_k` is a best-first search: an inner node's probability bounds that of every word below
///   it. On a peaked distribution it scores some tens of nodes a row; in the worst case, all words
///   equally likely, all `V - 1`.
/// * When not to use it: for the best perplexity. The tree decides which words must share
///   parameters, and one by frequency alone groups words that have nothing else in common.
///
/// ```
/// use lexmax_hierarchical::{BinaryTree, HierarchicalConfig, TreeKind};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = HierarchicalConfig { tree: TreeKind::Balanced, ..HierarchicalConfig::default() };
/// let layer = BinaryTree::new(&BuildContext::new(store.root(), 1024, 64, 1), &config)?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// let loss = layer.loss(&hidden, &targets)?;
/// assert!((loss.value()? - 10.0 * 2_f64.ln()).abs() < 1e-4); // zero hidden states: ten fair choices
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BinaryTree {
    tree: CodeTree,
    paths: Paths,
    nodes: Nodes,
    /// Expected length of a target's path.
    mean_length: f64,
    loss: Loss,
    /// Fused kernels; `None` on the reference path, and for one word, which has no choices.
    fused: Option<Fused<PathWorkspaces>>,
    /// Sweep over every node, for label smoothing on the fused path.
    every: Option<EveryNode>,
}

impl BinaryTree {
    /// Fits the tree to the counts and builds the layer with parameters `weight` `[V - 1, D]` and
    /// `bias` `[V - 1]`.
    ///
    /// # Errors
    /// A configuration of another tree; `classes` or `bins`, which belong to that one; a Huffman
    /// tree without counts.
    pub fn new(context: &BuildContext<'_>, config: &HierarchicalConfig) -> Result<Self> {
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        let counts = counts_if(context, config.tree == TreeKind::Huffman)?;
        let tree = match (config.tree, counts) {
            (TreeKind::Huffman, Some(counts)) => CodeTree::huffman(counts),
            (TreeKind::Balanced, _) => CodeTree::balanced(context.vocab_size)?,
            (tree, _) => {
                return Err(OutputError::argument(NAME, "tree", format!("{tree:?}"), "huffman or balanced"));
            }
        };
        let paths = Paths::new(NAME, &tree, context.device())?;
        let nodes = Nodes::new(context, config.bias)?;
        let mean_length = tree.mean_length(counts);
        let fused = Fused::new(context, PathWorkspaces).filter(|_| tree.vocab_size() > 1);
        let every = match &fused {
            Some(_) if loss.needs_all_classes() => {
                Some(EveryNode::new(&tree, config.loss.class_weights.as_deref(), context)?)
            }
            _ => None,
        };
        Ok(Self { tree, paths, nodes, mean_length, loss, fused, every })
    }

    /// The tree.
    pub fn tree(&self) -> &CodeTree {
        &self.tree
    }

    fn sweep(&self, targets: &Tensor, fused: &Fused<PathWorkspaces>) -> Result<PathSweep> {
        PathSweep::new(&self.paths, &self.nodes, targets, &fused.workspaces)
    }

    fn inputs<'a>(&'a self, hidden: &'a Tensor) -> [Option<&'a Tensor>; 3] {
        [Some(hidden), Some(self.nodes.weight()), self.nodes.bias()]
    }

    /// Log-probabilities of targets, `[M]`, by either path; differentiable.
    fn target_log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        match &self.fused {
            Some(fused) => fused.log_prob(self.sweep(targets, fused)?, &self.inputs(hidden)),
            None => self.path_log_prob(hidden, targets),
        }
    }

    /// Log-probabilities of targets, `[M]`, from the nodes on their paths alone, by plain ATen.
    ///
    /// Measured on a CPU (M = 700, V = 33,278, D = 200): gathering the steps of all paths one after
    /// the other takes half the time of paths padded to the longest.
    fn path_log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let steps = self.paths.of(targets)?;
        let logits = wide(&self.nodes.logits(&hidden.f_index_select(0, &steps.rows)?, &steps.nodes)?)?;
        let signs = steps.signs.f_to_kind(logits.kind())?;
        let log_probs = logits.f_mul(&signs)?.f_log_sigmoid()?;
        let none = Tensor::f_zeros([targets.size()[0]], (log_probs.kind(), log_probs.device()))?;
        Ok(none.f_index_add(0, &steps.rows, &log_probs)?)
    }
}

impl OutputLayer for BinaryTree {
    fn name(&self) -> &'static str {
        NAME
    }

    fn vocab_size(&self) -> i64 {
        self.loss.vocab_size()
    }

    fn hidden_size(&self) -> i64 {
        self.loss.hidden_size()
    }

    fn compute_path(&self) -> ComputePath {
        if self.fused.is_some() { ComputePath::Fused } else { ComputePath::Reference }
    }

    fn loss_rows(&self, hidden: &Tensor, targets: &Tensor, _rng: &mut Generator) -> Result<TrainingLoss> {
        let batch = self.loss.batch("hierarchical.loss", hidden, targets)?;
        if batch.is_empty() {
            return Ok(TrainingLoss::exact(batch.nothing(&self.inputs(&batch.hidden)[1..])?));
        }
        if let Some(fused) = &self.fused {
            let every = self.every.as_ref().map(EveryNode::share);
            let of_targets = self.sweep(&batch.targets, fused)?;
            return fused.loss(&batch, of_targets, every, &self.inputs(&batch.hidden));
        }
        let of_targets = self.target_log_prob(&batch.hidden, &batch.targets)?;
        batch.exact(&of_targets, || dense::log_probs(&self.tree, &self.nodes, &batch.hidden))
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("hierarchical.log_prob", hidden, Some(targets))?;
        let rows = (GATHERED / (self.hidden_size() * self.tree.depth().max(1) as i64)).max(1);
        if self.fused.is_some() || hidden.size()[0] <= rows {
            return Ok(LogProb::from_normalised(self.target_log_prob(hidden, targets)?));
        }
        let chunks = hidden.f_split(rows, 0)?.into_iter().zip(targets.f_split(rows, 0)?);
        let scored = chunks.map(|(hidden, targets)| self.path_log_prob(&hidden, &targets));
        Ok(LogProb::from_normalised(Tensor::f_cat(&scored.collect::<Result<Vec<_>>>()?, 0)?))
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("hierarchical.log_probs", hidden, None)?;
        Ok(LogProb::from_normalised(dense::log_probs(&self.tree, &self.nodes, hidden)?))
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        let op = "hierarchical.top_k";
        self.loss.check(op, hidden, None)?;
        check_k(op, k, self.vocab_size())?;
        Ok(search::top_k(&self.tree, &self.nodes, hidden, k)?.0)
    }

    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("hierarchical.sample", hidden, None)?;
        draw::sample(&self.tree, &self.nodes, hidden, rng)
    }

    fn cost(&self, rows: u64) -> LayerCost {
        let (n, d) = (rows as f64, self.hidden_size() as f64);
        let size = self.nodes.weight().kind().elt_size_in_bytes() as f64;
        let steps = n * self.mean_length;
        let touched = steps.min(self.vocab_size() as f64 - 1.0);
        let forward = Cost { flops: 2.0 * steps * d, bytes: size * (n * d + touched * d + steps) };
        // A dense gradient is written whole.
        let dense = !self.fused.as_ref().is_some_and(Fused::is_sparse);
        let written = if dense { size * self.nodes.parameters() as f64 } else { 0.0 };
        let dense_gradient = Cost { flops: 0.0, bytes: written };
        // Label smoothing visits every node with every row.
        let nodes = if self.loss.needs_all_classes() { self.vocab_size() as f64 - 1.0 } else { 0.0 };
        let every = if nodes > 0.0 { Cost::product(n, d, nodes, size) } else { Cost::default() };
        LayerCost {
            train: (forward + every).with_gradients() + dense_gradient,
            eval: forward,
            parameters: self.nodes.parameters(),
        }
    }
}

#[cfg(test)]
mod tests;
