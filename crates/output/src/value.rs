//! Values whose types keep training losses and exact log-probabilities apart.

use tch::{Kind, Tensor};

use crate::{OutputError, Result};

/// A differentiable training loss: a scalar, or `[N]` with the reduction `none`. It may be a surrogate (sampled softmax,
/// NCE), so it has no way to become a perplexity: only [`LogProb`] has (packages that printed `exp` of such a loss as a
/// perplexity are row 19 of `docs/DEFECTS.md`).
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
    /// The exact (smoothed, weighted) negative log-likelihood. For authors of layers: the conformance suite tests the
    /// claim. [`crate::Batch::exact`] makes one from log-probabilities.
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

    /// Whether this is the exact (smoothed, weighted) negative log-likelihood of the layer's distribution.
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
        Ok(self.tensor.f_backward()?)
    }
}

/// Exactly normalised natural-log probabilities, `[N]` (of targets) or `[N, V]`.
///
/// A layer makes one only where the probabilities of all `V` classes sum to 1; the conformance suite holds it to that.
#[derive(Debug)]
pub struct LogProb(Tensor);

impl LogProb {
    /// Declares a tensor to be exactly normalised log-probabilities. For authors of layers: the conformance suite tests
    /// the claim.
    pub fn from_normalised(tensor: Tensor) -> Self {
        Self(tensor)
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The tensor, taken out.
    pub fn into_tensor(self) -> Tensor {
        self.0
    }
}

/// The exact `k` most probable classes of each row, most probable first.
#[derive(Debug)]
pub struct TopK {
    /// Log-probabilities, `[N, k]`, falling.
    pub log_probs: Tensor,
    /// Classes, `[N, k]`, i64.
    pub ids: Tensor,
}

/// A sum of exact negative log-likelihoods in nats, in f64, from which alone a perplexity is computed.
///
/// ```
/// use lexmax_output::{ExactNll, LogProb};
/// use tch::Tensor;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let mut nll = ExactNll::default();
/// nll.add(&LogProb::from_normalised(Tensor::from_slice(&[0.25_f64.ln(), 0.25_f64.ln()])))?;
/// assert!((nll.perplexity() - 4.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExactNll {
    /// Sum over tokens, in nats.
    pub nats: f64,
    /// Tokens scored.
    pub tokens: u64,
}

impl ExactNll {
    /// Adds the log-probabilities of targets, `[N]`.
    ///
    /// # Errors
    /// Log-probabilities of all classes, `[N, V]`, of which only one a row is a target's.
    pub fn add(&mut self, targets: &LogProb) -> Result<()> {
        let given = targets.tensor().size();
        if given.len() != 1 {
            let expected = "[N], one target a row".to_owned();
            return Err(OutputError::Shape {
                op: "ExactNll::add",
                what: "log-probabilities",
                given,
                expected,
            });
        }
        self.nats -= targets.tensor().f_sum(Kind::Double)?.f_double_value(&[])?;
        self.tokens += targets.tensor().numel() as u64;
        Ok(())
    }

    /// Mean in nats per token; NaN when nothing was scored.
    pub fn mean(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    /// `exp(mean)`.
    pub fn perplexity(&self) -> f64 {
        self.mean().exp()
    }
}
