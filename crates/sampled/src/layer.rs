//! The layer that trains on sampled classes.

use lexmax_kernels::seed::Generator;
use lexmax_output::fused::Scratch;
use lexmax_output::{
    BuildContext, Cost, LayerCost, Linear, LogProb, Loss, OutputLayer, Result, TopK, TrainingLoss,
};
use tch::Tensor;

use crate::fused::Fused;
use crate::negatives::{Counting, Negatives, Source};
use crate::objective::logits::compute_kind;
use crate::objective::{Scored, loss_rows};
use crate::{Objective, ProposalKind, SampledConfig};

pub(crate) const NAME: &str = "sampled";

/// Linear layer and softmax, `p(c | h) = exp(z_c) / sum_j exp(z_j)`, `z = W h + b`, trained on the target and `S` sampled
/// classes of each row, and evaluated exactly.
///
/// * Shapes: hidden `[N, D]`, weight `[V, D]`, bias `[V]`.
/// * Loss: [`crate::objective`], always a surrogate. The expected counts follow TensorFlow's candidate samplers
///   ([`crate::expected_count`]), with one exception: where sampled softmax removes accidental hits from draws with
///   replacement, the target's expected count is the probability that it is drawn at all, `1 - (1 - q)^S`.
/// * Distribution: that of the objective's optimum. Sampled softmax, NCE and one-vs-each tend to `z_c = log p_c`, so
///   `p = softmax(z)`; negative sampling tends to `z_c = log p_c - log(S q_c)` (Levy & Goldberg 2014, "Neural Word Embedding
///   as Implicit Matrix Factorization"), so there `p = softmax(z + log q)`.
/// * Start: the bias starts near the objective's optimum, so that rare classes, which are seldom seen, do not keep the mass
///   of a zero. NCE: the log of the training frequencies (`-log V` without counts); negative sampling: `-log S`; else zero.
/// * Cost of training: `2 N D S` operations forward with shared negatives, three times that with gradients, on `N + S`
///   rows of the weight. Negatives of each row's own are as many operations on `N S` rows. Drawing costs what it draws, whatever
///   `V` ([`crate::Sampler`]).
/// * Memory of training, fused path ([`BuildContext::is_fused`]): [`lexmax_kernels::gathered::Workspace::bytes_for`], about
///   `(1 + threads) S D` numbers with shared negatives, of which a class that was drawn twice is taken once, and `N S` where each row
///   has its own; kept from step to step. Reference path: logits `[N, S]` several times, and `[N, S, D]` where each row has its own.
/// * Gradients of weight and bias: `[V, D]` and `[V]`, zero but for the rows of targets and negatives. With
///   [`BuildContext::sparse_gradients`] on the fused path only these rows, as a coalesced COO tensor, so that no step makes or
///   touches anything as long as the vocabulary.
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
    /// `log q`, `[V]`, where the objective leaves it out of the logits.
    log_q: Option<Tensor>,
    /// Where the fused kernels are taken.
    fused: Option<Fused>,
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
        let bias = if config.bias { Some(start_bias(context, config)?) } else { None };
        let log_q = match config.objective {
            Objective::NegativeSampling => Some(table(context, &source.log_q(context.vocab_size))?),
            _ => None,
        };
        let fused = context.is_fused().then(|| Fused::new(context));
        Ok(Self { weight, bias, config: config.clone(), source, loss, log_q, fused })
    }

    /// Workspace of the exact queries, where they are fused.
    fn queries(&self) -> Option<&Scratch> {
        self.fused.as_ref().map(|fused| &fused.queries)
    }

    /// What the exact queries add to the logits, `[V]`.
    fn query_bias(&self) -> Result<Option<Tensor>> {
        Ok(match (&self.bias, &self.log_q) {
            (Some(bias), Some(log_q)) => Some(bias.f_add(log_q)?),
            (bias, log_q) => bias.as_ref().or(log_q.as_ref()).map(Tensor::shallow_clone),
        })
    }
}

/// The bias `[V]` as training starts with it.
fn start_bias(context: &BuildContext<'_>, config: &SampledConfig) -> Result<Tensor> {
    let vocab_size = context.vocab_size;
    let bias = context.bias("bias", vocab_size)?;
    let all = |value: f64| vec![value; vocab_size as usize];
    let start = match config.objective {
        Objective::Nce if context.counts.is_some() => context.counts_for(NAME)?.log_prior(),
        Objective::Nce => all(-(vocab_size as f64).ln()),
        // In-batch, the number of negatives is known only with the batch.
        Objective::NegativeSampling if config.proposal != ProposalKind::InBatch => {
            all(-(config.samples(vocab_size) as f64).ln())
        }
        _ => return Ok(bias),
    };
    let start = table(context, &start)?;
    tch::no_grad(|| bias.shallow_clone().f_copy_(&start))?;
    Ok(bias)
}

/// One number for each class as a tensor of the parameters' kind.
fn table(context: &BuildContext<'_>, values: &[f64]) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(values)?.f_to_kind(context.kind())?.f_to(context.device())?)
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
            let nothing = batch.nothing(&[Some(&self.weight), self.bias.as_ref()])?;
            return Ok(TrainingLoss::surrogate(nothing));
        }
        let SampledConfig { objective, remove_accidental_hits, .. } = self.config;
        let target_ids = Vec::<i64>::try_from(&batch.targets)?;
        let drawn = self.source.draw(&target_ids, Counting { objective, remove_accidental_hits }, rng);
        let (weight, bias) = (&self.weight, self.bias.as_ref());
        if let Some(fused) = &self.fused {
            return fused.loss(
                &batch,
                Linear::new(&batch.hidden, weight, bias),
                objective,
                target_ids,
                drawn,
            );
        }
        let negatives = Negatives::of(drawn, &batch.targets, compute_kind(batch.hidden.kind()))?;
        let scored = Scored { hidden: &batch.hidden, targets: &batch.targets, weight, bias };
        batch.surrogate(&loss_rows(objective, &scored, &negatives, remove_accidental_hits)?)
    }

    fn log_prob(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_prob", hidden, Some(targets))?;
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).log_prob(targets, self.queries())
    }

    fn log_probs(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_probs", hidden, None)?;
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).log_probs()
    }

    fn top_k(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("sampled.top_k", hidden, None)?;
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).top_k("sampled.top_k", k, self.queries())
    }

    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("sampled.sample", hidden, None)?;
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).sample(rng, self.queries())
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
