//! The mixture of softmaxes.

use lexmax_kernels::seed::Generator;
use lexmax_output::dense::{log_softmax, wide};
use lexmax_output::fused::Terms;
use lexmax_output::{
    BuildContext, ComputePath, Cost, LayerCost, Linear, LogProb, Loss, OutputLayer, PathMemory, Result, TopK,
    TrainingLoss, check_k, sample_from,
};
use tch::{Kind, Tensor};

use crate::MOS as NAME;
use crate::MixtureConfig;
use crate::chunked;
use crate::fused::{self, Given};

/// Mixture of `K` softmaxes (Yang et al. 2018, "Breaking the Softmax Bottleneck: A High-Rank RNN
/// Language Model", arXiv 1711.03953), in log space throughout:
///
/// `log p(c | h) = log sum_k exp(log pi_k + log softmax(W tanh(L_k h + a_k) + b)_c)`, `pi =
/// softmax(P h)`.
///
/// * Shapes: hidden `[N, D]`, `prior.weight` `P` `[K, D]` (none where `K = 1`: it could not change
///   anything), `latent.weight` `[K d, D]` and `latent.bias` `[K d]` with the rows of one component
///   together, `weight` `W` `[V, d]`, `bias` `[V]`.
/// * Cost: `K` times that of a full softmax over width `d`; a draw costs one component. Memory on
///   the fused path: latent states `[N K, d]` and the context's workspace, `[N, V]` never; on the
///   chunked path latent states and what [`lexmax_output::chunked::ChunkMemory`] says. Label
///   smoothing needs `log p` of all classes: one sweep more.
/// * `top_k` on the fused path scores the best classes of each component, and compares with what
///   all others can reach; rows where that does not decide (components that disagree about a flat
///   distribution) are dense, a few at a time, in some 32 MiB.
/// * When not to use it: where time is short; the components share nothing of the products.
///
/// ```
/// use lexmax_mixture::{Mixture, MixtureConfig};
/// use lexmax_output::{BuildContext, OutputLayer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let store = nn::VarStore::new(Device::Cpu);
/// let config = MixtureConfig { components: 3, latent_size: Some(16), ..MixtureConfig::default() };
/// let layer = Mixture::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let hidden = Tensor::zeros([8, 64], (Kind::Float, Device::Cpu));
/// let targets = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
/// let loss = layer.loss(&hidden, &targets)?;
/// assert!((loss.value()? - 1000_f64.ln()).abs() < 1e-4); // zero hidden states: every class is as likely
/// loss.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mixture {
    /// `None` for one component.
    prior: Option<Tensor>,
    latent_weight: Tensor,
    latent_bias: Tensor,
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    /// Memory of the layer's path.
    pub(crate) path: PathMemory,
    components: i64,
    latent_size: i64,
    pub(crate) loss: Loss,
}

impl Mixture {
    /// Builds the layer.
    ///
    /// # Errors
    /// No component; a latent width below one; tying without an embedding `[V, d]`.
    pub fn new(context: &BuildContext<'_>, config: &MixtureConfig) -> Result<Self> {
        config.check(&context.sizes())?;
        let loss = context.loss(NAME, config.loss.clone())?;
        let (vocab_size, hidden_size) = (context.vocab_size, context.hidden_size);
        let (components, latent_size) = (config.components, config.latent_size.unwrap_or(hidden_size));
        let one = components == 1;
        // Too large a product is refused as a weight.
        let states = components.saturating_mul(latent_size);
        Ok(Self {
            prior: if one { None } else { Some(context.weight("prior.weight", components, hidden_size)?) },
            latent_weight: context.weight("latent.weight", states, hidden_size)?,
            latent_bias: context.bias("latent.bias", states)?,
            weight: context.class_weight(NAME, config.tied, latent_size)?,
            bias: if config.bias { Some(context.bias("bias", vocab_size)?) } else { None },
            path: context.path_memory(components)?,
            components,
            latent_size,
            loss,
        })
    }

    /// Latent states and log mixture weights of hidden states `[N, D]`.
    pub(crate) fn states(&self, hidden: &Tensor) -> Result<States> {
        let log_prior = match &self.prior {
            None => None,
            Some(prior) => Some(log_softmax(&hidden.f_linear(prior, None::<&Tensor>)?)?),
        };
        Ok(States {
            log_prior,
            latent: hidden.f_linear(&self.latent_weight, Some(&self.latent_bias))?.f_tanh()?,
        })
    }

    /// The linear layer under all components, over latent states `[rows, d]`.
    pub(crate) fn linear<'a>(&'a self, latent: &'a Tensor) -> Linear<'a> {
        Linear::new(latent, &self.weight, self.bias.as_ref())
    }

    /// Inputs of the fused and of the chunked path.
    pub(crate) fn given<'a>(&'a self, latent: &'a Tensor, log_prior: &'a Tensor) -> Given<'a> {
        [Some(latent), Some(&self.weight), self.bias.as_ref(), Some(log_prior)]
    }

    /// Logits `[N, V]` of component `k`. Made one component at a time, so that without gradients
    /// only one lives.
    fn logits(&self, states: &States, k: i64) -> Result<Tensor> {
        let state = states.latent.f_narrow(1, k * self.latent_size, self.latent_size)?;
        self.linear(&state).logits()
    }

    /// `log p(y)` of each row, `[N]`: a component's log-probabilities are reduced to those of the
    /// targets before mixing, so no mixed `[N, V]` is made.
    fn of_targets(&self, hidden: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let states = self.states(hidden)?;
        if self.path.path() != ComputePath::Reference {
            let (latent, targets) =
                (self.rows(&states)?, targets.f_repeat_interleave_self_int(self.components, 0, None)?);
            let log_probs = self.linear(&latent).log_prob(&targets, &self.path)?.into_tensor();
            let joint = states.of_all(log_probs.f_view([-1, self.components])?)?;
            return Ok(joint.f_logsumexp([1_i64].as_slice(), false)?);
        }
        let terms = (0..self.components).map(|k| {
            let (logits, no_weight) = (wide(&self.logits(&states, k)?)?, None::<&Tensor>);
            let nll = logits.f_cross_entropy_loss(targets, no_weight, tch::Reduction::None, i64::MIN, 0.0)?;
            states.weighted(k, nll.f_neg()?.f_unsqueeze(1)?)
        });
        let terms = terms.collect::<Result<Vec<_>>>()?;
        Ok(Tensor::f_cat(&terms, 1)?.f_logsumexp([1_i64].as_slice(), false)?)
    }

    /// Latent states `[N K, d]`: the rows of one token together.
    pub(crate) fn rows(&self, states: &States) -> Result<Tensor> {
        Ok(states.latent.f_reshape([-1, self.latent_size])?)
    }

    /// `log p(c)` of all classes, `[N, V]`.
    pub(crate) fn mixed(&self, hidden: &Tensor) -> Result<Tensor> {
        let states = self.states(hidden)?;
        let term = |k| states.weighted(k, log_softmax(&self.logits(&states, k)?)?);
        (1..self.components).try_fold(term(0)?, |sum, k| Ok(sum.f_logaddexp(&term(k)?)?))
    }
}

/// Log weights of the components, `[N, K]`, where there is more than one, and latent states,
/// `[N, K d]`.
pub(crate) struct States {
    pub log_prior: Option<Tensor>,
    latent: Tensor,
}

impl States {
    /// `log pi_k + log_probs`, of `[N, 1]` or `[N, V]`.
    fn weighted(&self, k: i64, log_probs: Tensor) -> Result<Tensor> {
        Ok(match &self.log_prior {
            None => log_probs,
            Some(prior) => log_probs.f_add(&prior.f_narrow(1, k, 1)?)?,
        })
    }

    /// Joint log-probabilities of all components, `log pi_k + log_probs`, `[N, K]`.
    fn of_all(&self, log_probs: Tensor) -> Result<Tensor> {
        Ok(match &self.log_prior {
            None => log_probs,
            Some(prior) => log_probs.f_add(prior)?,
        })
    }
}

impl OutputLayer for Mixture {
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
        let batch = self.loss.batch("mos.loss", hidden, targets)?;
        if self.path.path() != ComputePath::Reference {
            let states = self.states(&batch.hidden)?;
            let latent = self.rows(&states)?;
            // One component is a softmax over a linear layer.
            let terms = Terms::default();
            return match (&self.path, &states.log_prior) {
                (PathMemory::Fused(scratch), None) => batch.fused(self.linear(&latent), terms, scratch),
                (PathMemory::Fused(scratch), Some(prior)) => {
                    fused::loss(&batch, self.given(&latent, prior), scratch)
                }
                (path, None) => batch.chunked(self.linear(&latent), terms, path.chunk_memory()),
                (path, Some(prior)) => chunked::loss(&batch, self.given(&latent, prior), path.chunk_memory()),
            };
        }
        if self.loss.needs_all_classes() {
            let all = self.mixed(&batch.hidden)?;
            let of_targets = all.f_gather(1, &batch.targets.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
            batch.exact(&of_targets, || Ok(all))
        } else {
            batch.exact(&self.of_targets(&batch.hidden, &batch.targets)?, || self.mixed(&batch.hidden))
        }
    }

    fn compute_path(&self) -> ComputePath {
        self.path.path()
    }

    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        self.loss.check("mos.log_prob", hidden, Some(targets))?;
        Ok(LogProb::from_normalised(self.of_targets(hidden, targets)?))
    }

    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        self.loss.check("mos.log_probs", hidden, None)?;
        Ok(LogProb::from_normalised(self.mixed(hidden)?))
    }

    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check("mos.top_k", hidden, None)?;
        check_k("mos.top_k", k, self.vocab_size())?;
        let _guard = tch::no_grad_guard();
        Ok(self.search(hidden, k)?.0)
    }

    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        self.loss.check("mos.sample", hidden, None)?;
        let _guard = tch::no_grad_guard();
        // First the component, then a class of it: one softmax for each row in place of `K`.
        let states = self.states(hidden)?;
        let mut latent = self.rows(&states)?;
        if let Some(log_prior) = &states.log_prior {
            let drawn = sample_from(log_prior, rng)?;
            let first = Tensor::f_arange(drawn.size()[0], (Kind::Int64, drawn.device()))?;
            latent = latent.f_index_select(0, &first.f_mul_scalar(self.components)?.f_add(&drawn)?)?;
        }
        self.linear(&latent).sample(rng, &self.path)
    }

    fn cost(&self, rows: u64) -> LayerCost {
        let (n, k, v) = (rows as f64, self.components as f64, self.vocab_size() as f64);
        let (d, width) = (self.hidden_size() as f64, self.latent_size as f64);
        let element = self.weight.kind().elt_size_in_bytes() as f64;
        let prior = if self.prior.is_some() { Cost::product(n, d, k, element) } else { Cost::default() };
        let latent = Cost::product(n, d, k * width, element);
        let forward = prior + latent + Cost::product(n, width, v, element).times(k);
        let all = [Some(&self.weight), Some(&self.latent_weight), Some(&self.latent_bias)];
        let all = all.into_iter().chain([self.prior.as_ref(), self.bias.as_ref()]).flatten();
        let parameters = all.map(|tensor| tensor.numel() as u64).sum();
        LayerCost { train: forward.with_gradients(), eval: forward, parameters }
    }
}
