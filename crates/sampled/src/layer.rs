//! The layer that trains on sampled classes.

use lexmax_kernels::seed::Generator;
use lexmax_output::{
    BuildContext, ComputePath, Cost, Draws, LayerCost, Linear, LogProb, Loss, OutputLayer, PathMemory,
    Result, TopK, TrainingLoss, dense, sample_logits,
};
use tch::{Kind, Tensor};

use crate::fused::Fused;
use crate::negatives::Negatives;
use crate::objective::{Scored, rows_of};
use crate::source::{Counting, Source};
use crate::{NAME, Objective, ProposalKind, SampledConfig};

/// Linear layer and softmax, `p(c | h) = exp(z_c) / sum_j exp(z_j)`, `z = W h + b`, trained on the
/// target and `S` sampled classes of each row, and evaluated exactly.
///
/// * Shapes: hidden `[N, D]`, weight `[V, D]`, bias `[V]`.
/// * Negatives: those of the `n`-th call of [`OutputLayer::loss`] come from the context's seed and
///   `n`; a program that is to resume saves `n`, [`OutputLayer::draws`]. Those of
///   [`OutputLayer::loss_with`] come from the caller's generator. In-batch nothing is drawn.
/// * Loss: [`crate::objective`], always a surrogate.
/// * Expected counts ([`crate::expected_count`]) are those of TensorFlow's candidate samplers, but
///   for three cases:
///   1. Sampled softmax that removes accidental hits from draws with replacement, or in-batch
///      (`S = N - 1`): the target counts as the probability that it is drawn at all,
///      `1 - (1 - q)^S`, and not `S q`. It is in the softmax once however often it was drawn; with
///      `S q` a frequent target loses its weight as `S` grows, and the optimum moves away from
///      `log p` (for `p = (.85, .09, .04, .02)`, `q = (.4, .3, .2, .1)`, `S = 8` by 0.054 nats,
///      against 0.00006).
///   2. Unique draws of which none was a repeat, `T = S`: `1 - (1 - q)^S`, as for any other `T`,
///      where TensorFlow takes `S q`, by which a class may be expected more often than the once
///      that it can be taken.
///   3. All classes, unique and `S = V`: each is there once, and counts 1. TensorFlow draws until
///      it has seen them all, and counts by that `T`, so that its loss is noisy, and not the full
///      softmax.
///
///   TensorFlow's counts are f32, these f64.
/// * Accidental hits: [`SampledConfig::remove_accidental_hits`].
/// * Distribution: that of the objective's optimum. Sampled softmax, NCE and one-vs-each tend to
///   `z_c = log p_c`, so `p = softmax(z)`; negative sampling tends to `z_c = log p_c - log E_c`
///   (Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", where
///   `E_c = S q_c`), so there `p = softmax(z + log E)`, with the expected counts `E` of
///   [`crate::Sampler::expected_count`], and `q` in-batch. In half precision `log E` stays f32, and
///   so are these answers.
/// * How exact that optimum is. With replacement it is exact for NCE and negative sampling with
///   hits kept, for the sampled softmax with hits kept, and for one-vs-each; with `S = V` unique
///   for the same, but for the softmax without its hits. With other unique draws expected counts
///   are an approximation, and so is the optimum. Sampled softmax without its hits is close to it,
///   and tends to it as `S` grows. NCE and negative sampling without their hits tend to the odds
///   `p_c / (1 - p_c)` in the place of `p_c`, and `p` above is then too sharp.
/// * Start: the bias starts near the objective's optimum, so that rare classes, which are seldom
///   seen, do not keep the mass of a zero. NCE: the log of the training frequencies (`-log V`
///   without counts); negative sampling: `log q - log E` (`-log S` with replacement), where it
///   answers with its proposal; zero for the others, and for negative sampling in-batch.
/// * Cost of training: `2 N D S` operations forward with shared negatives, three times that with
///   gradients, on `N + S` rows of the weight. Negatives of each row's own are as many operations
///   on `N S` rows. Drawing costs what it draws, whatever `V` ([`crate::Sampler`]).
/// * Memory of training, fused path ([`BuildContext::is_fused`]):
///   [`lexmax_kernels::sampled::Workspace::bytes_for`], about `(1 + threads) S D` numbers with
///   shared negatives, of which a class that was drawn twice is taken once, and `N S` where each
///   row has its own; kept from step to step. Reference path: logits `[N, S]` several times, and
///   `[N, S, D]` where each row has its own.
/// * Gradients of weight and bias: `[V, D]` and `[V]`, zero but for the rows of targets and
///   negatives. With [`BuildContext::sparse_gradients`] on the fused path only these rows, as a
///   coalesced COO tensor, so that no step makes or touches anything as long as the vocabulary.
/// * Cost of `log_prob`, `log_probs`, `top_k`, `sample`: `2 N D V` operations, as the full softmax.
/// * When not to use it: where evaluation decides the time, or `S` for a good perplexity comes near
///   `V`.
///
/// ```
/// use lexmax_output::{BuildContext, OutputLayer};
/// use lexmax_sampled::{Sampled, SampledConfig};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = SampledConfig { samples: Some(50), unique: true, ..SampledConfig::default() };
/// let layer = Sampled::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// layer.loss(&hidden, &targets)?.backward()?;
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
    /// `None` in-batch: nothing is drawn.
    draws: Option<Draws>,
    loss: Loss,
    /// Log expected counts `log E`, `[V]`, at least in f32, where the objective leaves them out of
    /// the logits.
    log_expected: Option<Tensor>,
    /// Fused kernels of the training loss; `None` on the reference path.
    fused: Option<Fused>,
    /// Memory of the exact queries.
    queries: PathMemory,
}

impl Sampled {
    /// Builds the layer with parameters `weight` `[V, D]` and `bias` `[V]`.
    ///
    /// # Errors
    /// An option out of its range or one that does not go with the proposal; label smoothing; tying
    /// without an embedding `[V, D]`; the proposals `unigram` and `in-batch` without counts.
    pub fn new(context: &BuildContext<'_>, config: &SampledConfig) -> Result<Self> {
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        let source = Source::new(context, config)?;
        let draws = (config.proposal != ProposalKind::InBatch).then(|| Draws::new(context.seed));
        let weight = context.class_weight(NAME, config.tied, context.hidden_size)?;
        let log_expected = match config.objective {
            Objective::NegativeSampling => Some(source.log_expected(context.vocab_size)),
            _ => None,
        };
        let bias = config.bias.then(|| context.bias("bias", context.vocab_size)).transpose()?;
        let start = start_bias(context, config, &source, log_expected.as_deref())?;
        if let (Some(bias), Some(start)) = (&bias, start) {
            let start = table(context, &start, context.kind())?;
            tch::no_grad(|| bias.shallow_clone().f_copy_(&start))?;
        }
        let kind = dense::wide_kind(context.kind());
        let log_expected = log_expected.map(|numbers| table(context, &numbers, kind)).transpose()?;
        let fused = context.is_fused().then(|| Fused::new(context)).transpose()?;
        let (config, queries) = (config.clone(), context.path_memory(1)?);
        Ok(Self { weight, bias, config, source, draws, loss, log_expected, fused, queries })
    }

    /// Bias of the exact queries, `[V]`: the layer's, plus the log expected counts where the
    /// objective leaves them out of the logits.
    fn query_bias(&self) -> Result<Option<Tensor>> {
        Ok(match (&self.bias, &self.log_expected) {
            (Some(bias), Some(log_expected)) => Some(bias.f_add(log_expected)?),
            (bias, log_expected) => bias.as_ref().or(log_expected.as_ref()).map(Tensor::shallow_clone),
        })
    }

    /// Corrected logits of all classes, `[N, V]`, where the parameters are too coarse to add the
    /// correction in their dtype: bf16 would round a `log E` of -9 by up to 0.03.
    fn logits_of_coarse(&self, hidden: &Tensor) -> Result<Option<Tensor>> {
        let kind = dense::wide_kind(self.weight.kind());
        match &self.log_expected {
            Some(log_expected) if self.weight.kind() != kind => {
                let logits = hidden.f_linear(&self.weight, self.bias.as_ref())?.f_to_kind(kind)?;
                Ok(Some(logits.f_add(log_expected)?))
            }
            _ => Ok(None),
        }
    }
}

/// The bias of every class as training starts with it; none where it starts at zero.
fn start_bias(
    context: &BuildContext<'_>,
    config: &SampledConfig,
    source: &Source,
    log_expected: Option<&[f64]>,
) -> Result<Option<Vec<f64>>> {
    let vocab_size = context.vocab_size;
    Ok(match (config.objective, log_expected) {
        (Objective::Nce, _) if context.counts.is_some() => Some(context.counts_for(NAME)?.log_prior()),
        (Objective::Nce, _) => Some(vec![-(vocab_size as f64).ln(); vocab_size as usize]),
        // In-batch, the number of negatives is known only with the batch.
        (_, Some(log_expected)) if config.proposal != ProposalKind::InBatch => {
            let log_q = source.log_q(vocab_size);
            Some(log_q.iter().zip(log_expected).map(|(log_q, log_expected)| log_q - log_expected).collect())
        }
        _ => None,
    })
}

/// One number for each class as a tensor.
fn table(context: &BuildContext<'_>, values: &[f64], kind: Kind) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(values)?.f_to_kind(kind)?.f_to(context.device())?)
}

impl OutputLayer for Sampled {
    fn name(&self) -> &'static str {
        NAME
    }

    fn vocab_size(&self) -> i64 {
        self.loss.vocab_size()
    }

    fn hidden_size(&self) -> i64 {
        self.loss.hidden_size()
    }

    fn loss_rows(&self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss> {
        let batch = self.loss.batch("sampled.loss", hidden, targets)?;
        if batch.is_empty() {
            let nothing = batch.nothing(&[Some(&self.weight), self.bias.as_ref()])?;
            return Ok(TrainingLoss::surrogate(nothing));
        }
        let objective = self.config.objective;
        let counting = Counting { objective, remove_accidental_hits: self.config.remove_accidental_hits() };
        let target_ids = Vec::<i64>::try_from(&batch.targets)?;
        self.source.check("sampled.loss", target_ids.len())?;
        let drawn = self.source.draw(&target_ids, counting, rng);
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
        let negatives = Negatives::of(drawn, &batch.targets, dense::wide_kind(batch.hidden.kind()))?;
        let scored = Scored { hidden: &batch.hidden, targets: &batch.targets, weight, bias };
        batch.surrogate(&rows_of(objective, &scored, &negatives, counting.remove_accidental_hits)?)
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_prob", hidden, Some(targets))?;
        if let Some(logits) = self.logits_of_coarse(hidden)? {
            return dense::log_prob(&logits, targets);
        }
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).log_prob(targets, &self.queries)
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("sampled.log_probs", hidden, None)?;
        if let Some(logits) = self.logits_of_coarse(hidden)? {
            return dense::log_probs(&logits);
        }
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).log_probs()
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("sampled.top_k", hidden, None)?;
        if let Some(logits) = self.logits_of_coarse(hidden)? {
            return dense::top_k("sampled.top_k", &logits, k);
        }
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).top_k("sampled.top_k", k, &self.queries)
    }

    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("sampled.sample", hidden, None)?;
        if let Some(logits) = self.logits_of_coarse(hidden)? {
            return sample_logits(&logits, rng);
        }
        let bias = self.query_bias()?;
        Linear::new(hidden, &self.weight, bias.as_ref()).sample(rng, &self.queries)
    }

    fn compute_path(&self) -> ComputePath {
        if self.fused.is_some() { ComputePath::Fused } else { ComputePath::Reference }
    }

    fn draws(&self) -> Option<&Draws> {
        self.draws.as_ref()
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
        let parameters = (self.weight.numel() + self.bias.as_ref().map_or(0, Tensor::numel)) as u64;
        // A dense gradient is written whole.
        let dense = !self.fused.as_ref().is_some_and(Fused::is_sparse);
        let dense_gradient = Cost { flops: 0.0, bytes: if dense { size * parameters as f64 } else { 0.0 } };
        LayerCost {
            train: (targets + negatives).with_gradients() + dense_gradient,
            eval: Cost::product(n, d, v, size),
            parameters,
        }
    }
}
