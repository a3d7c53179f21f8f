//! The exact softmax layer.

use lexmax_kernels::seed::Generator;
use lexmax_output::dense::wide;
use lexmax_output::fused::{Filtered, GradientFilter, Terms};
use lexmax_output::{
    Batch, BuildContext, ComputePath, Cost, LayerCost, Linear, LogProb, LogitTransform, Loss, OutputLayer,
    PathMemory, Result, TopK, TrainingLoss,
};
use tch::{Kind, Tensor};

use crate::terms::{adjust, at_targets, focal, scaled_log_prior, z_loss};
use crate::{FullConfig, NAME};

/// Linear layer and softmax over all `V` classes: `p(c | h) = exp(z_c) / sum_j exp(z_j)`,
/// `z = f(W h + b)`.
///
/// Under `transform = "sigsoftmax"` that is `exp(x_c) sigmoid(x_c) / sum_j exp(x_j) sigmoid(x_j)`
/// with `x = W h + b`: log-probabilities that are not linear in `h`, so that their rank is not
/// bounded by `D`. Unlike in a plain softmax, adding a number to all of `x` changes `p`.
///
/// * Shapes: hidden `[N, D]`, weight `[V, D]`, bias `[V]`.
/// * Cost: `2 N D V` operations forward, three times that with gradients. Memory: on the fused path
///   the context's workspace (a quarter of the weight, or 32 MiB where that is less), on the
///   chunked path what [`lexmax_output::chunked::ChunkMemory`] says, on the reference path logits
///   `[N, V]` twice in training.
/// * When not to use it: where `V` is so large that the products dominate the step; then look at
///   the adaptive, sampled and hierarchical layers.
///
/// ```
/// use lexmax_full::{Full, FullConfig};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let layer = Full::new(&BuildContext::new(store.root(), 1000, 64, 1), &FullConfig::default())?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// let loss = layer.loss(&hidden, &targets)?;
/// assert!((loss.value()? - 1000_f64.ln()).abs() < 1e-4); // zero hidden states: every class is as likely
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Full {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    config: FullConfig,
    /// Logit offset `tau log prior` of a logit-adjusted loss, `[V]`.
    adjustment: Option<Tensor>,
    loss: Loss,
    /// Memory of the layer's path.
    path: PathMemory,
    /// Rule of the gradient filter; `None` for exact gradients.
    filter: Option<GradientFilter>,
}

impl Full {
    /// Builds the layer with parameters `weight` `[V, D]` and `bias` `[V]`.
    ///
    /// # Errors
    /// An option out of its range; tying without an embedding `[V, D]`; a logit adjustment without
    /// counts; a gradient filter where the fused path is not taken.
    pub fn new(context: &BuildContext<'_>, config: &FullConfig) -> Result<Self> {
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        let adjustment = if config.logit_adjustment == 0.0 {
            None
        } else {
            let log_prior = context.counts_for(NAME)?.log_prior();
            Some(scaled_log_prior(&log_prior, config.logit_adjustment, context.kind(), context.device())?)
        };
        let weight = context.class_weight(NAME, config.tied, context.hidden_size)?;
        let bias = if config.bias { Some(context.bias("bias", context.vocab_size)?) } else { None };
        let path = context.path_memory(1)?;
        let filter = config.gradient_filter.map(|eps| GradientFilter::new(eps, !config.filter_weight));
        let config = config.clone();
        Ok(Self { weight, bias, config, adjustment, loss, path, filter })
    }

    /// Whether the loss is the negative log-probability of the targets and no surrogate.
    fn is_exact(&self) -> bool {
        self.adjustment.is_none() && self.config.focal_gamma == 0.0 && self.config.z_loss == 0.0
    }

    /// The training loss by ATen operations over all rows.
    fn reference(&self, batch: &Batch<'_>) -> Result<TrainingLoss> {
        let mut logits = wide(&self.linear(&batch.hidden).logits()?)?;
        if let Some(adjustment) = &self.adjustment {
            logits = adjust(&logits, adjustment)?;
        }
        let log_probs = logits.f_log_softmax(-1, None::<Kind>)?;
        let of_targets = at_targets(&log_probs, &batch.targets)?;
        let mut loss = if self.config.focal_gamma > 0.0 {
            batch.surrogate(&focal(&of_targets, self.config.focal_gamma)?)?
        } else {
            batch.exact(&of_targets, || Ok(log_probs))?
        };
        if self.config.z_loss > 0.0 {
            let penalty = batch.surrogate(&z_loss(&logits, self.config.z_loss)?)?;
            loss = loss.plus(penalty.tensor())?;
        }
        Ok(if self.adjustment.is_some() { TrainingLoss::surrogate(loss.into_tensor()) } else { loss })
    }

    fn linear<'a>(&'a self, hidden: &'a Tensor) -> Linear<'a> {
        Linear {
            temperature: self.config.temperature.divisor(self.loss.vocab_size()),
            transform: self.config.logit_transform(),
            ..Linear::new(hidden, &self.weight, self.bias.as_ref())
        }
    }
}

impl OutputLayer for Full {
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
        let batch = self.loss.batch("full.loss", hidden, targets)?;
        if let Some(filter) = &self.filter {
            filter.forget();
        }
        if batch.is_empty() {
            let nothing = batch.nothing(&[Some(&self.weight), self.bias.as_ref()])?;
            return Ok(if self.is_exact() {
                TrainingLoss::exact(nothing)
            } else {
                TrainingLoss::surrogate(nothing)
            });
        }
        let terms = Terms {
            z_loss: self.config.z_loss,
            focal_gamma: self.config.focal_gamma,
            logit_offset: self.adjustment.as_ref(),
            filter: self.filter.as_ref(),
        };
        match &self.path {
            PathMemory::Fused(scratch) => batch.fused(self.linear(&batch.hidden), terms, scratch),
            PathMemory::Chunked(memory) => batch.chunked(self.linear(&batch.hidden), terms, *memory),
            PathMemory::Reference => self.reference(&batch),
        }
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("full.log_prob", hidden, Some(targets))?;
        self.linear(hidden).log_prob(targets, &self.path)
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("full.log_probs", hidden, None)?;
        self.linear(hidden).log_probs()
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("full.top_k", hidden, None)?;
        self.linear(hidden).top_k("full.top_k", k, &self.path)
    }

    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("full.sample", hidden, None)?;
        self.linear(hidden).sample(rng, &self.path)
    }

    fn compute_path(&self) -> ComputePath {
        self.path.path()
    }

    fn left_out(&self) -> Option<Filtered> {
        self.filter.as_ref().and_then(GradientFilter::last)
    }

    fn cost(&self, rows: u64) -> LayerCost {
        let (n, v, d) = (rows as f64, self.vocab_size() as f64, self.hidden_size() as f64);
        let element = self.weight.kind().elt_size_in_bytes() as f64;
        let mut forward = Cost::product(n, d, v, element);
        if self.config.logit_transform() != LogitTransform::Identity {
            // The transform reads and writes the logits once more.
            forward = forward + Cost { flops: 0.0, bytes: 2.0 * n * v * element };
        }
        let parameters = (self.weight.numel() + self.bias.as_ref().map_or(0, Tensor::numel)) as u64;
        LayerCost { train: forward.with_gradients(), eval: forward, parameters }
    }
}
