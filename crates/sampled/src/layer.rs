//! The layer that trains on sampled classes.

use lexmax_kernels::seed::Generator;
use lexmax_output::fused::Scratch;
use lexmax_output::{
    BuildContext, Cost, LayerCost, Linear, LogProb, Loss, OutputLayer, Result, TopK, TrainingLoss,
};
use tch::Tensor;

use crate::SampledConfig;
use crate::negatives::{Counting, Source};
use crate::objective::logits::compute_kind;
use crate::objective::{Scored, loss_rows};

pub(crate) const NAME: &str = "sampled";

/// Linear layer and softmax, `p(c | h) = exp(z_c) / sum_j exp(z_j)`, `z = W h + b`, trained on the target and `S` sampled
/// classes of each row, and evaluated exactly.
///
/// * Shapes: hidden `[N, D]`, weight `[V, D]`, bias `[V]`.
/// * Loss: [`crate::objective`], always a surrogate. The expected counts follow TensorFlow's candidate samplers
///   ([`crate::expected_count`]), with one exception: where sampled softmax removes accidental hits from draws with
///   replacement, the target's expected count is the probability that it is drawn at all, `1 - (1 - q)^S`.
/// * Cost of training: `2 N D S` operations forward with shared negatives, three times that with gradients, on `N + S`
///   rows of the weight; memory for logits `[N, S]`. Negatives of each row's own are as many operations on `N S` gathered
///   rows: memory `[N, S, D]`. Unused rows of the weight get a zero gradient, which is stored.
/// * Cost of `log_prob`, `log_probs`, `top_k`, `sample`: `2 N D V` operations, as the full softmax.
/// * When not to use it: where evaluation decides the time, or `S` for a good perplexity comes near `V`.
///
/// ```
/// use lexmax_kernels::seed::generator;
/// use lexmax_output::{BuildContext, OutputLayer};
/// use lexmax_sampled::{Sampled, SampledConfig};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = SampledConfig { samples: Some(50), unique: true, ..SampledConfig::default() };
/// let mut layer = Sampled::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// layer.loss(&hidden, &targets, &mut generator(1, "negatives", 0))?.backward()?;
/// let exact = layer.log_prob(&hidden, &targets)?; // over all 1000 classes
/// assert!((exact.tensor().double_value(&[0]) + 1000_f64.ln()).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sampled {
    weight: Tensor,
    bias: Option<Tensor>,
    config: SampledConfig,
    source: Source,
    loss: Loss,
    /// Where the fused kernels are taken for the exact queries: their workspace.
    scratch: Option<Scratch>,
}

impl Sampled {
    /// Builds the layer with parameters `weight` `[V, D]` and `bias` `[V]`.
    ///
    /// # Errors
    /// An option out of its range or one that does not go with the proposal; label smoothing; tying without an embedding
    /// `[V, D]`; the proposals `unigram` and `in-batch` without counts.
    pub fn new(context: &BuildContext<'_>, config: &SampledConfig) -> Result<Self> {
        let loss = context.loss(NAME, config.loss.clone())?;
        loss.refuse_smoothing(
            NAME,
            "it spreads over all classes, and the loss sees only the target and its negatives",
        )?;
        config.validate(context.vocab_size)?;
        let source = Source::new(context, config)?;
        let weight = context.class_weight(NAME, config.tied, context.hidden_size)?;
        let bias = if config.bias { Some(context.bias("bias", context.vocab_size)?) } else { None };
        let scratch = context.is_fused().then(Scratch::default);
        Ok(Self { weight, bias, config: config.clone(), source, loss, scratch })
    }

    fn linear<'a>(&'a self, hidden: &'a Tensor) -> Linear<'a> {
        Linear::new(hidden, &self.weight, self.bias.as_ref())
    }
}

impl OutputLayer for Sampled {
    fn name(&self) -> &'static str {
        NAME
    }

    fn vocab_size(&self) -> i64 {
        self.weight.size()[0]
    }

    fn hidden_size(&self) -> i64 {
        self.weight.size()[1]
    }

    fn loss(&mut self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss> {
        let batch = self.loss.batch("sampled.loss", hidden, targets)?;
        if batch.is_empty() {
            return batch.nothing();
        }
        let SampledConfig { objective, remove_accidental_hits, .. } = self.config;
        let kind = compute_kind(batch.hidden.kind());
        let counting = Counting { objective, remove_accidental_hits, kind };
        let negatives = self.source.negatives(&batch.targets, counting, rng)?;
        let scored = Scored {
            hidden: &batch.hidden,
            targets: &batch.targets,
            weight: &self.weight,
            bias: self.bias.as_ref(),
        };
        batch.surrogate(&loss_rows(objective, &scored, &negatives, remove_accidental_hits)?)
    }

    fn log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_prob", hidden, Some(targets))?;
        self.linear(hidden).log_prob(targets, self.scratch.as_ref())
    }

    fn log_probs(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_probs", hidden, None)?;
        self.linear(hidden).log_probs()
    }

    fn top_k(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("sampled.top_k", hidden, None)?;
        self.linear(hidden).top_k("sampled.top_k", k, self.scratch.as_ref())
    }

    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("sampled.sample", hidden, None)?;
        self.linear(hidden).sample(rng, self.scratch.as_ref())
    }

    fn cost(&self, rows: u64) -> LayerCost {
        let (n, s) = (rows as f64, self.source.samples(rows as f64));
        let (v, d) = (self.vocab_size() as f64, self.hidden_size() as f64);
        let size = self.weight.kind().elt_size_in_bytes() as f64;
        let targets = Cost::product(1.0, d, 1.0, size).times(n);
        let negatives = if self.source.per_row() {
            Cost::product(1.0, d, s, size).times(n)
        } else {
            Cost::product(n, d, s, size)
        };
        let bias = if self.config.bias { self.vocab_size() } else { 0 };
        let parameters = (self.vocab_size() * self.hidden_size() + bias) as u64;
        LayerCost {
            train: (targets + negatives).with_gradients(),
            eval: Cost::product(n, d, v, size),
            parameters,
        }
    }
}
