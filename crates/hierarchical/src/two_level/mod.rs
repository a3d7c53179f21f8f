//! The two-level layer: first the class of the word, then the word in its class.

mod bins;
mod classes;
mod cost;
mod fused;
mod reference;
mod search;
mod smoothing;

use lexmax_kernels::seed::Generator;
use lexmax_output::{
    BuildContext, ComputePath, LayerCost, LogProb, Loss, OutputError, OutputLayer, Result, TopK,
    TrainingLoss, WordCounts, check_k, sample_from, sample_logits,
};
use tch::Tensor;

use crate::fused::Fused;
use crate::layer::counts_if;
use crate::{Bins, HierarchicalConfig, NAME, TreeKind};
use classes::Classes;
use fused::{ClassSweep, ClassWorkspaces};
use smoothing::EveryWord;

/// Two softmaxes, over classes and over the words of a class:
/// `log p(w | h) = log softmax(A h + a)_c + log softmax(B_c h + b_c)_w` with `c` the class of `w`,
/// where `B_c` and `b_c` hold the vectors and biases of the words of class `c` (Goodman 2001, arXiv
/// cs/0108006; frequency bins as classes, Mikolov et al. 2011; with about `sqrt V` classes this is
/// the baseline HSM (freq) of Grave et al. 2017, arXiv 1609.04309).
///
/// * Shapes: hidden `[N, D]`; `class_weight` `[C, D]`, `class_bias` `[C]`; `weight` `[V, D]`,
///   `bias` `[V]`. Classes are `C` ranges of consecutive ids.
/// * Cost of a loss: `2 N D (C + S)` operations forward, three times that with gradients, where `S`
///   is the mean size of the targets' classes. Only the `R` words of classes that occur in the
///   batch are read, and only they get a gradient that is not zero. Label smoothing needs all words
///   and costs as much as a full softmax; on the fused path no `[N, V]` is made.
/// * Gradients on the fused path: with [`BuildContext::sparse_gradients`] those of `weight` and
///   `bias` are row-sparse (COO), of the `R` words in rising order, each once, and no step makes or
///   passes over `[V, D]`; without, the `R` rows are written into zeros. Those of `class_weight`
///   and `class_bias` are dense, since every row reads every class. On the reference path, and with
///   label smoothing, all are dense.
/// * Memory in training: on the fused path the gradients, `[N, D]`, `[C, D]` and `[R, D]`, tiles of
///   at most 32 MiB (on two threads), twice the hidden states, and `[C, D]` for each thread but the
///   first; on the reference path logits `[N, C]` and those of the targets' classes.
/// * `top_k` opens classes in the order of their probability, which bounds that of their words,
///   until no class left can reach the `k`-th best. In the worst case, all words equally likely, it
///   scores all `V`.
/// * When not to use it: for the best perplexity; and where the batch is so small that one product
///   a class is overhead.
///
/// ```
/// use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind, TwoLevel};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = HierarchicalConfig {
///     tree: TreeKind::TwoLevel,
///     classes: Some(10),
///     bins: Some(Bins::Size),
///     ..HierarchicalConfig::default()
/// };
/// let layer = TwoLevel::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// let loss = layer.loss(&hidden, &targets)?;
/// assert!((loss.value()? - 1000_f64.ln()).abs() < 1e-4); // zero hidden states: one of 10 classes of 100 words
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TwoLevel {
    classes: Classes,
    class_weight: Tensor,
    class_bias: Option<Tensor>,
    weight: Tensor,
    bias: Option<Tensor>,
    /// How likely a target lies in each class, `[C]`.
    class_probs: Vec<f64>,
    loss: Loss,
    fused: Option<Fused<ClassWorkspaces>>,
}

impl TwoLevel {
    /// Cuts the ids into classes and builds the layer.
    ///
    /// # Errors
    /// A configuration of another tree; a number of classes outside `1..=V`; bins by count without
    /// counts.
    pub fn new(context: &BuildContext<'_>, config: &HierarchicalConfig) -> Result<Self> {
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        if config.tree != TreeKind::TwoLevel {
            return Err(OutputError::argument(NAME, "tree", format!("{:?}", config.tree), "two-level"));
        }
        let bins = config.bins.unwrap_or_default();
        let counts = counts_if(context, bins != Bins::Size)?;
        let (vocab_size, hidden_size) = (context.vocab_size, context.hidden_size);
        let class_count = config.class_count(vocab_size);
        let starts = bins::class_starts(&masses(bins, counts, vocab_size), class_count as usize);
        let class_probs = class_probs(&starts, counts);
        let classes = Classes::new(starts, context.device())?;
        let class_weight = context.weight("class_weight", class_count, hidden_size)?;
        let weight = context.weight("weight", vocab_size, hidden_size)?;
        let bias = |name, size| if config.bias { context.bias(name, size).map(Some) } else { Ok(None) };
        let (class_bias, bias) = (bias("class_bias", class_count)?, bias("bias", vocab_size)?);
        Ok(Self {
            classes,
            class_weight,
            class_bias,
            weight,
            bias,
            class_probs,
            loss,
            fused: Fused::new(context, ClassWorkspaces { memory_limit: context.workspace_bytes }),
        })
    }

    /// Number of words in each class, in the order of the ids.
    pub fn class_sizes(&self) -> Vec<i64> {
        self.classes.sizes()
    }

    fn sweep(&self, targets: &Tensor, fused: &Fused<ClassWorkspaces>) -> Result<ClassSweep> {
        ClassSweep::new(&self.classes, targets, &fused.workspaces)
    }

    fn inputs<'a>(&'a self, hidden: &'a Tensor) -> [Option<&'a Tensor>; 5] {
        let (class_bias, bias) = (self.class_bias.as_ref(), self.bias.as_ref());
        [Some(hidden), Some(&self.class_weight), class_bias, Some(&self.weight), bias]
    }

    /// Log-probabilities of targets, `[M]`, by either path; differentiable.
    fn target_log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        match &self.fused {
            Some(fused) => fused.log_prob(self.sweep(targets, fused)?, &self.inputs(hidden)),
            None => self.grouped_log_prob(hidden, targets),
        }
    }
}

impl OutputLayer for TwoLevel {
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
            let every = || EveryWord::new(&self.classes, batch.class_weights(), &fused.workspaces);
            let every = self.loss.needs_all_classes().then(every);
            let of_targets = self.sweep(&batch.targets, fused)?;
            return fused.loss(&batch, of_targets, every, &self.inputs(&batch.hidden));
        }
        let of_targets = self.target_log_prob(&batch.hidden, &batch.targets)?;
        batch.exact(&of_targets, || self.dense_log_probs(&batch.hidden))
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("hierarchical.log_prob", hidden, Some(targets))?;
        if targets.numel() == 0 {
            return Ok(LogProb::from_normalised(Tensor::f_zeros([0], (hidden.kind(), hidden.device()))?));
        }
        Ok(LogProb::from_normalised(self.target_log_prob(hidden, targets)?))
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("hierarchical.log_probs", hidden, None)?;
        Ok(LogProb::from_normalised(self.dense_log_probs(hidden)?))
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        let op = "hierarchical.top_k";
        self.loss.check(op, hidden, None)?;
        check_k(op, k, self.vocab_size())?;
        Ok(self.search(hidden, k)?.0)
    }

    /// Two uniforms a row: one for the class, one for the word in it.
    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("hierarchical.sample", hidden, None)?;
        let _guard = tch::no_grad_guard();
        let classes = sample_from(&self.class_log_probs(hidden)?, rng)?;
        if classes.numel() == 0 {
            return Ok(classes);
        }
        let grouped = self.classes.group(&classes)?;
        let words = self.words_by_class()?;
        let mut drawn = Vec::with_capacity(grouped.groups.len());
        for (&(class, _), hidden) in grouped.groups.iter().zip(grouped.split(hidden)?) {
            let (weight, bias) = &words[class];
            let places = sample_logits(&hidden.f_linear(weight, bias.as_ref())?, rng)?;
            drawn.push(places.f_add_scalar(self.classes.first(class))?);
        }
        grouped.join(&drawn)
    }

    fn cost(&self, rows: u64) -> LayerCost {
        self.counted(rows)
    }
}

fn masses(bins: Bins, counts: Option<&WordCounts>, vocab_size: i64) -> Vec<f64> {
    match (bins, counts) {
        (Bins::Count, Some(counts)) => counts.counts().iter().map(|&count| count as f64).collect(),
        (Bins::SqrtCount, Some(counts)) => {
            counts.counts().iter().map(|&count| (count as f64).sqrt()).collect()
        }
        // Bins by count have counts: `counts_if` refused otherwise.
        _ => vec![1.0; vocab_size as usize],
    }
}

fn class_probs(starts: &[i64], counts: Option<&WordCounts>) -> Vec<f64> {
    let vocab_size = starts[starts.len() - 1] as f64;
    let prob = |pair: &[i64]| match counts {
        Some(counts) => {
            let in_class = &counts.counts()[pair[0] as usize..pair[1] as usize];
            in_class.iter().map(|&count| count as f64).sum::<f64>() / counts.total()
        }
        None => (pair[1] - pair[0]) as f64 / vocab_size,
    };
    starts.windows(2).map(prob).collect()
}

#[cfg(test)]
mod tests;
