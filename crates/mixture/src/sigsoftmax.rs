//! Sigsoftmax: a softmax whose logits are multiplied, as probabilities, by their sigmoid.

use lexmax_kernels::seed::Generator;
use lexmax_output::dense::log_softmax;
use lexmax_output::fused::{Scratch, Terms};
use lexmax_output::{
    BuildContext, Cost, LayerCost, Linear, LogProb, Loss, LossOptions, OutputLayer, Result, TopK,
    TrainingLoss,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

pub use lexmax_output::sigsoftmax as transform;

const NAME: &str = "sigsoftmax";

/// Options of [`Sigsoftmax`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigsoftmaxConfig {
    /// Whether each class has a bias.
    pub bias: bool,
    /// Whether the class weight is the input embedding (Press & Wolf 2017, arXiv 1608.05859).
    pub tied: bool,
    /// Options of the loss that all families share.
    pub loss: LossOptions,
}

impl Default for SigsoftmaxConfig {
    fn default() -> Self {
        Self { bias: true, tied: false, loss: LossOptions::default() }
    }
}

/// Sigsoftmax (Kanai et al. 2018, "Sigsoftmax: Reanalysis of the Softmax Bottleneck", arXiv 1805.10829):
/// `p(c | h) = exp(z_c) sigmoid(z_c) / sum_j exp(z_j) sigmoid(z_j)`, `z = W h + b`. The log-probabilities are not linear in
/// `h`, so their rank is not bounded by `D`.
///
/// * Shapes: hidden `[N, D]`, `weight` `[V, D]`, `bias` `[V]`.
/// * Cost: the products of a full softmax, and a logarithm and a root more for each logit. Memory: on the fused path at most 32 MiB (on two threads)
///   of tiles, on the reference path one more `[N, V]` than a full softmax.
/// * When not to use it: where a plain softmax already fits; unlike there, adding a number to all logits changes `p`.
///
/// ```
/// use lexmax_kernels::seed::generator;
/// use lexmax_mixture::{Sigsoftmax, SigsoftmaxConfig};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let context = BuildContext::new(store.root(), 1000, 64, 1);
/// let mut layer = Sigsoftmax::new(&context, &SigsoftmaxConfig::default())?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// let loss = layer.loss(&hidden, &targets, &mut generator(1, "negatives", 0))?;
/// assert!((loss.value()? - 1000_f64.ln()).abs() < 1e-4); // zero hidden states: every class is as likely
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sigsoftmax {
    weight: Tensor,
    bias: Option<Tensor>,
    loss: Loss,
    /// Where the fused kernels are taken: their workspace.
    scratch: Option<Scratch>,
    vocab_size: i64,
    hidden_size: i64,
}

impl Sigsoftmax {
    /// Builds the layer.
    ///
    /// # Errors
    /// A loss option out of its range; tying without an embedding `[V, D]`.
    pub fn new(context: &BuildContext<'_>, config: &SigsoftmaxConfig) -> Result<Self> {
        let (vocab_size, hidden_size) = (context.vocab_size, context.hidden_size);
        let loss = context.loss(NAME, config.loss.clone())?;
        let weight = context.class_weight(NAME, config.tied, hidden_size)?;
        let bias = if config.bias { Some(context.bias("bias", vocab_size)?) } else { None };
        let scratch = context.is_fused().then(|| context.scratch(1));
        Ok(Self { weight, bias, loss, scratch, vocab_size, hidden_size })
    }

    fn linear<'a>(&'a self, hidden: &'a Tensor) -> Linear<'a> {
        Linear { sigsoftmax: true, ..Linear::new(hidden, &self.weight, self.bias.as_ref()) }
    }
}

impl OutputLayer for Sigsoftmax {
    fn name(&self) -> &'static str {
        NAME
    }

    fn vocab_size(&self) -> i64 {
        self.vocab_size
    }

    fn hidden_size(&self) -> i64 {
        self.hidden_size
    }

    fn loss(&mut self, hidden: &Tensor, targets: &Tensor, _rng: &mut Generator) -> Result<TrainingLoss> {
        let batch = self.loss.batch("sigsoftmax.loss", hidden, targets)?;
        let linear = self.linear(&batch.hidden);
        if let Some(scratch) = &self.scratch {
            return batch.fused(linear, Terms::default(), scratch);
        }
        let log_probs = log_softmax(&linear.logits()?)?;
        let no_weight = None::<&Tensor>;
        let nll = log_probs.f_nll_loss(&batch.targets, no_weight, tch::Reduction::None, i64::MIN)?;
        batch.exact(&nll.f_neg()?, || Ok(log_probs))
    }

    fn log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("sigsoftmax.log_prob", hidden, Some(targets))?;
        self.linear(hidden).log_prob(targets, self.scratch.as_ref())
    }

    fn log_probs(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("sigsoftmax.log_probs", hidden, None)?;
        self.linear(hidden).log_probs()
    }

    fn top_k(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("sigsoftmax.top_k", hidden, None)?;
        self.linear(hidden).top_k("sigsoftmax.top_k", k, self.scratch.as_ref())
    }

    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("sigsoftmax.sample", hidden, None)?;
        self.linear(hidden).sample(rng, self.scratch.as_ref())
    }

    fn cost(&self, rows: u64) -> LayerCost {
        let (n, v, d) = (rows as f64, self.vocab_size as f64, self.hidden_size as f64);
        let element = self.weight.kind().elt_size_in_bytes() as f64;
        // The transform reads and writes the logits once more.
        let transform = Cost { flops: 0.0, bytes: 2.0 * n * v * element };
        let forward = Cost::product(n, d, v, element) + transform;
        let parameters = (self.weight.numel() + self.bias.as_ref().map_or(0, Tensor::numel)) as u64;
        LayerCost { train: forward.with_gradients(), eval: forward, parameters }
    }
}
