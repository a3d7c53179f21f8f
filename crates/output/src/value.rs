//! Values whose types keep training losses and exact log-probabilities apart.

use std::iter::Sum;
use std::ops::AddAssign;

use tch::{Device, Kind, Tensor};

use crate::{OutputError, Result};

/// A differentiable training loss: a scalar, or one loss for each target with the reduction `none`.
/// It may be a surrogate (sampled softmax, NCE), so it has no way to become a perplexity: only
/// [`LogProb`] has (packages that printed `exp` of such a loss as a perplexity are row 19 of
/// `docs/DEFECTS.md`).
///
/// ```compile_fail,E0599
/// fn a20_19_a_surrogate_is_no_perplexity(loss: lexmax_output::TrainingLoss) -> f64 {
///     loss.perplexity() // no such method, on purpose
/// }
/// ```
///
/// ```
/// fn exact_log_probabilities_are_one(nll: lexmax_output::ExactNll) -> f64 {
///     nll.perplexity()
/// }
/// ```
#[derive(Debug)]
pub struct TrainingLoss {
    tensor: Tensor,
    exact: bool,
}

impl TrainingLoss {
    /// The exact (smoothed, weighted) negative log-likelihood. For authors of layers: the
    /// conformance suite tests the claim. [`crate::Batch::exact`] makes one from log-probabilities.
    pub fn exact(tensor: Tensor) -> Self {
        Self { tensor, exact: true }
    }

    /// A loss that is not the layer's negative log-likelihood.
    pub fn surrogate(tensor: Tensor) -> Self {
        Self { tensor, exact: false }
    }

    /// Adds a regulariser: the sum is no longer the negative log-likelihood alone.
    ///
    /// # Errors
    /// Shapes that do not broadcast.
    pub fn plus(self, regulariser: &Tensor) -> Result<Self> {
        Ok(Self { tensor: self.tensor.f_add(regulariser)?, exact: false })
    }

    /// Whether this is the exact (smoothed, weighted) negative log-likelihood of the layer's
    /// distribution.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The loss as a tensor, for the backward pass.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The tensor, taken out.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }

    /// The loss as a number; synchronises with the device.
    ///
    /// # Errors
    /// The loss is not a scalar.
    pub fn value(&self) -> Result<f64> {
        Ok(self.tensor.f_double_value(&[])?)
    }

    /// Runs the backward pass.
    ///
    /// # Errors
    /// The loss is not a scalar or has no graph.
    pub fn backward(&self) -> Result<()> {
        if self.tensor.dim() > 0 {
            let (op, what, given) = ("backward", "the loss", self.tensor.size());
            let expected = "a scalar: the reduction `mean` or `sum`, or a sum of `tensor()`".to_owned();
            return Err(OutputError::Shape { op, what, given, expected });
        }
        Ok(self.tensor.f_backward()?)
    }

    /// Another form of the same numbers.
    pub(crate) fn map(self, form: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { tensor: form(self.tensor)?, exact: self.exact })
    }
}

/// Exactly normalised natural-log probabilities, `[..]` (of targets) or `[.., V]` (of all classes).
///
/// A layer makes one only where the probabilities of all `V` classes sum to 1; the conformance
/// suite holds it to that.
#[derive(Debug)]
pub struct LogProb {
    tensor: Tensor,
    /// Whether each entry is that of a target.
    of_targets: bool,
}

impl LogProb {
    /// Declares a tensor to be exactly normalised log-probabilities of rows: `[N]` of targets, or
    /// `[N, V]`. For authors of layers: the conformance suite tests the claim.
    pub fn from_normalised(tensor: Tensor) -> Self {
        Self { of_targets: tensor.dim() == 1, tensor }
    }

    /// Log-probabilities of targets in their shape.
    pub(crate) fn of_targets(tensor: Tensor) -> Self {
        Self { tensor, of_targets: true }
    }

    /// Log-probabilities `[.., V]`.
    pub(crate) fn of_all_classes(tensor: Tensor) -> Self {
        Self { tensor, of_targets: false }
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The tensor, taken out.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }
}

/// The exact `k` most probable classes for each hidden state, most probable first.
#[derive(Debug)]
pub struct TopK {
    /// Log-probabilities, `[.., k]`, falling.
    pub log_probs: Tensor,
    /// Classes, `[.., k]`, i64.
    pub ids: Tensor,
}

impl TopK {
    /// The rows of all parts, one after the other.
    ///
    /// # Errors
    /// No part, or parts of another `k`.
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Result<Self> {
        let (log_probs, ids): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|top| (top.log_probs, top.ids)).unzip();
        Ok(Self { log_probs: Tensor::f_cat(&log_probs, 0)?, ids: Tensor::f_cat(&ids, 0)? })
    }
}

/// Exact negative log-likelihood of some tokens: a sum in nats, in f64, and the number of tokens.
///
/// The sum is made from [`LogProb`] alone, one token at a time, and added up: over a batch, over a
/// frequency band, over bands. A perplexity is computed from such a sum, and from nothing else.
///
/// ```
/// use lexmax_output::{ExactNll, LogProb};
/// use tch::Tensor;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let of_targets = LogProb::from_normalised(Tensor::from_slice(&[0.5_f64.ln(), 0.125_f64.ln()]));
/// let [frequent, rare] = ExactNll::of_targets(&of_targets)?[..] else { unreachable!() };
/// assert!((rare.perplexity() - 8.0).abs() < 1e-12);
/// let whole: ExactNll = [frequent, rare].into_iter().sum();
/// assert!((whole.perplexity() - 4.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExactNll {
    nats: f64,
    tokens: u64,
}

impl ExactNll {
    /// One value for each target, in order (row after row of its shape), from their
    /// log-probabilities; synchronises with the device.
    ///
    /// # Errors
    /// Log-probabilities of all classes, `[.., V]`, of which only one of `V` is a target's.
    pub fn of_targets(targets: &LogProb) -> Result<Vec<Self>> {
        if !targets.of_targets {
            let (op, what, given) = ("ExactNll::of_targets", "log-probabilities", targets.tensor().size());
            let expected = "one for each target, as `log_prob` gives".to_owned();
            return Err(OutputError::Shape { op, what, given, expected });
        }
        let log_probs = targets.tensor().f_reshape([-1])?.f_to_kind(Kind::Double)?.f_to(Device::Cpu)?;
        let log_probs = Vec::<f64>::try_from(log_probs)?;
        Ok(log_probs.into_iter().map(|log_prob| Self { nats: -log_prob, tokens: 1 }).collect())
    }

    /// Sum over the tokens, in nats.
    pub fn nats(&self) -> f64 {
        self.nats
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Mean in nats per token; NaN without tokens.
    pub fn mean(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    /// Perplexity `exp(mean)`; NaN without tokens.
    pub fn perplexity(&self) -> f64 {
        self.mean().exp()
    }
}

impl AddAssign for ExactNll {
    fn add_assign(&mut self, other: Self) {
        self.nats += other.nats;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

impl Sum for ExactNll {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}
