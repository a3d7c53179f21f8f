//! The adaptive softmax layer.

use lexmax_kernels::seed::Generator;
use lexmax_output::dense::{log_softmax, wide};
use lexmax_output::{
    BuildContext, ComputePath, Cost, LayerCost, Linear, LogProb, Loss, OutputLayer, PathMemory, Result, TopK,
    TrainingLoss,
};
use tch::Tensor;

use crate::chunked::Chunked;
use crate::fused::Fused;
use crate::partition::Partition;
use crate::parts::Parts;
use crate::smoothing::SmoothedEntries;
use crate::tail::Tail;
use crate::{AdaptiveConfig, NAME};

/// Adaptive softmax (Grave et al. 2017, "Efficient softmax approximation for GPUs", arXiv
/// 1609.04309).
///
/// With shortlist size `S` and clusters `C_1..C_m` the head is a softmax over `S + m` entries, and
/// a word of cluster `i` is drawn within its cluster:
///
/// `p(c | h) = head(c | h)` for `c < S`, `p(c | h) = head(S + i | h) softmax(W_i P_i h + b_i)_c`
/// for `c` in cluster `i`.
///
/// * Shapes: hidden `[N, D]`, `head.weight` `[S + m, D]`, `head.bias` `[S + m]`,
///   `tail.i.projection` `[d_i, D]`, `tail.i.weight` `[|C_i|, d_i]`, `tail.i.bias` `[|C_i|]`, with
///   `d_i = max(1, floor(D / div_value^(i + 1)))`.
/// * Cost: a row costs `2 D (S + m)` operations for the head, and `2 (D d_i + d_i |C_i|)` more only
///   where its target lies in cluster `i`; three times that with gradients. With label smoothing
///   every row costs all clusters.
/// * Memory: on the fused path (f32 or f64 on a CPU, unless the context's `compute` says otherwise)
///   the context's workspace, one for head and clusters, and `[M, d_i]` for the `M` rows of a
///   cluster; loss and gradients are one node of the graph, from one sweep
///   over the head and one over each cluster that a row visits (a second one in the backward pass
///   for the reduction `none`). On the chunked path what [`lexmax_output::chunked::ChunkMemory`]
///   says, beside the rows of a cluster, `[M, D]`; on the reference path logits `[N, S + m]` and
///   `[M, |C_i|]`, twice in training.
/// * Gradients: every parameter gets one in every step. Those of a cluster that no row visits are
///   zero: dense zeros, or, with the context's `sparse_gradients`, row-sparse without rows, which
///   costs nothing to make and nothing to apply. Those of a visited cluster are dense also then:
///   its softmax touches every word of the cluster, and one pass over all rows is cheaper for an
///   optimizer than as many rows by their index.
/// * When not to use it: the ids must be sorted by falling frequency, and rare words get logits of
///   low rank.
///
/// ```
/// use lexmax_adaptive::{Adaptive, AdaptiveConfig};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = AdaptiveConfig { cutoffs: vec![99, 499], ..AdaptiveConfig::default() };
/// let layer = Adaptive::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let hidden = Tensor::zeros([2, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::from_slice(&[7_i64, 600]);
/// let loss = layer.loss(&hidden, &targets)?;
/// // Zero hidden states: one of 101 head entries, then, for word 600, one of the 501 words of its cluster.
/// let expected = (101_f64.ln() + 101_f64.ln() + 501_f64.ln()) / 2.0;
/// assert!((loss.value()? - expected).abs() < 1e-4);
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Adaptive {
    pub(crate) partition: Partition,
    pub(crate) tails: Vec<Tail>,
    pub(crate) loss: Loss,
    pub(crate) head_weight: Tensor,
    pub(crate) head_bias: Option<Tensor>,
    sweeps: Sweeps,
    /// Memory of the exact queries.
    pub(crate) path: PathMemory,
    /// Expected share of the targets in each cluster, for the cost.
    shares: Vec<f64>,
}

/// State of the training loss, by its path.
#[derive(Debug)]
enum Sweeps {
    Fused(Fused),
    Chunked(Chunked),
    Reference,
}

impl Adaptive {
    /// Builds the layer. Where the context has training counts, the expected cost of a row follows
    /// them.
    ///
    /// # Errors
    /// Cutoffs that are out of range or do not rise, a divisor that is not above zero, tying;
    /// counts of another length.
    pub fn new(context: &BuildContext<'_>, config: &AdaptiveConfig) -> Result<Self> {
        let (vocab_size, hidden_size) = (context.vocab_size, context.hidden_size);
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        let partition = Partition::new(config, vocab_size, hidden_size, context.device())?;
        let counts = context.counts.map(|_| context.counts_for(NAME)).transpose()?;
        let shares = partition.shares(vocab_size, counts);
        let head_weight = context.weight("head.weight", partition.head_size(), hidden_size)?;
        let head_bias =
            if config.head_bias { Some(context.bias("head.bias", partition.head_size())?) } else { None };
        let tails = partition.clusters.iter().enumerate();
        let tails = tails.map(|(index, &cluster)| Tail::new(context, index, cluster, config.tail_bias));
        let tails = tails.collect::<Result<_>>()?;
        let path = context.path_memory(1)?;
        let entries = SmoothedEntries::new(context, &partition, &loss)?;
        let sweeps = match &path {
            PathMemory::Fused(scratch) => {
                Sweeps::Fused(Fused::new(scratch.clone(), context.sparse_gradients, entries))
            }
            PathMemory::Chunked(memory) => Sweeps::Chunked(Chunked::new(*memory, entries)),
            PathMemory::Reference => Sweeps::Reference,
        };
        Ok(Self { partition, tails, loss, head_weight, head_bias, sweeps, path, shares })
    }

    /// Parameters and partition that the fused and the chunked path read.
    fn parts(&self) -> Parts<'_> {
        Parts {
            partition: &self.partition,
            head_weight: &self.head_weight,
            head_bias: self.head_bias.as_ref(),
            tails: &self.tails,
        }
    }

    /// The softmax over the words of the shortlist and the clusters.
    pub(crate) fn head<'a>(&'a self, hidden: &'a Tensor) -> Linear<'a> {
        Linear::new(hidden, &self.head_weight, self.head_bias.as_ref())
    }

    /// Log-probabilities of the head entries, `[N, S + m]`.
    pub(crate) fn head_log_softmax(&self, hidden: &Tensor) -> Result<Tensor> {
        log_softmax(&self.head(hidden).logits()?)
    }

    /// Log-probabilities of all classes, `[N, V]`.
    fn dense(&self, hidden: &Tensor) -> Result<Tensor> {
        let head = self.head_log_softmax(hidden)?;
        let mut parts = vec![head.f_narrow(1, 0, self.partition.shortlist)?];
        for (entry, tail) in (self.partition.shortlist..).zip(&self.tails) {
            parts.push(tail.log_softmax(hidden)?.f_add(&head.f_narrow(1, entry, 1)?)?);
        }
        Ok(Tensor::f_cat(&parts, 1)?)
    }

    /// Log-probabilities of the targets, `[N]`, in the order of the rows; a cluster sees only the
    /// rows it has to.
    ///
    /// A cluster without rows is computed with none, so that its parameters get a gradient, of
    /// zeros.
    fn sparse(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let routing = self.partition.route(targets)?;
        let mut of_targets = at_targets(&self.head(hidden).logits()?, &routing.head)?;
        for (tail, rows) in self.tails.iter().zip(&routing.rows) {
            let within = targets.f_index_select(0, rows)?.f_sub_scalar(tail.cluster.start)?;
            let logits = tail.logits(&hidden.f_index_select(0, rows)?)?;
            of_targets = of_targets.f_index_add(0, rows, &at_targets(&logits, &within)?)?;
        }
        Ok(of_targets)
    }
}

/// `log softmax(z)_y` of each row, `[N]`, from logits `[N, V]` and targets `[N]`, which may be no
/// rows at all.
fn at_targets(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let no_weight = None::<&Tensor>;
    Ok(wide(logits)?
        .f_cross_entropy_loss(targets, no_weight, tch::Reduction::None, i64::MIN, 0.0)?
        .f_neg()?)
}

impl OutputLayer for Adaptive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn vocab_size(&self) -> i64 {
        self.loss.vocab_size()
    }

    fn hidden_size(&self) -> i64 {
        self.loss.hidden_size()
    }

    fn loss_rows(&self, hidden: &Tensor, targets: &Tensor, _rng: &mut Generator) -> Result<TrainingLoss> {
        // No case of its own for a batch of ignored rows: products with no rows give every
        // parameter its zeros.
        let batch = self.loss.batch("adaptive.loss", hidden, targets)?;
        match &self.sweeps {
            Sweeps::Fused(fused) => return fused.loss(self.parts(), &batch),
            Sweeps::Chunked(chunked) => return chunked.loss(self.parts(), &batch),
            Sweeps::Reference => {}
        }
        if self.loss.needs_all_classes() {
            let all = self.dense(&batch.hidden)?;
            let of_targets = all.f_gather(1, &batch.targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
            batch.exact(&of_targets, || Ok(all))
        } else {
            batch.exact(&self.sparse(&batch.hidden, &batch.targets)?, || self.dense(&batch.hidden))
        }
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("adaptive.log_prob", hidden, Some(targets))?;
        match &self.sweeps {
            Sweeps::Fused(fused) => fused.log_prob(self.parts(), hidden, targets),
            Sweeps::Chunked(chunked) => chunked.log_prob(self.parts(), hidden, targets),
            Sweeps::Reference => Ok(LogProb::from_normalised(self.sparse(hidden, targets)?)),
        }
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("adaptive.log_probs", hidden, None)?;
        Ok(LogProb::from_normalised(self.dense(hidden)?))
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.best("adaptive.top_k", hidden, k)
    }

    fn compute_path(&self) -> ComputePath {
        self.path.path()
    }

    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("adaptive.sample", hidden, None)?;
        self.draw(hidden, rng)
    }

    /// Counted with the expected share of the rows in each cluster: from the training counts that
    /// the layer was built with, or, without them, as if all classes were as likely, which
    /// overstates the cost on words.
    fn cost(&self, rows: u64) -> LayerCost {
        let (n, d) = (rows as f64, self.hidden_size() as f64);
        let element = self.head_weight.kind().elt_size_in_bytes() as f64;
        let head_products = Cost::product(n, d, self.partition.head_size() as f64, element);
        let tails = |share: &dyn Fn(f64) -> f64| {
            let costs =
                self.tails.iter().zip(&self.shares).map(|(tail, &of)| tail.cost(n * share(of), d, element));
            costs.sum::<Cost>()
        };
        let eval = head_products + tails(&|share| share);
        // Smoothing needs every class of every row.
        let forward = if self.loss.needs_all_classes() { head_products + tails(&|_| 1.0) } else { eval };
        let head = [Some(&self.head_weight), self.head_bias.as_ref(), None];
        let tails = self.tails.iter().map(Tail::parameters);
        let parameters: usize = [head].into_iter().chain(tails).flatten().flatten().map(Tensor::numel).sum();
        LayerCost { train: forward.with_gradients(), eval, parameters: parameters as u64 }
    }
}
