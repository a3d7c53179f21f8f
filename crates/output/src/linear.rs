//! The softmax over a linear layer, and its exact answers by either path.

use lexmax_kernels::seed::Generator;
use tch::Tensor;

use crate::fused::{self, Scratch};
use crate::{LogProb, Result, TopK, dense, sample_logits};

/// A linear layer before a softmax, and what happens to its logits: `z = f(W h + b)`, with `f` first the temperature, then at most
/// one of soft cap and sigsoftmax.
///
/// Its queries take the fused kernels where they are given a [`Scratch`], and plain ATen where not.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a Tensor,
    /// Class weight, `[V, D]`.
    pub weight: &'a Tensor,
    /// Class bias, `[V]`.
    pub bias: Option<&'a Tensor>,
    /// Divides the logits first.
    pub temperature: f64,
    /// Then they become `cap tanh(z / cap)`.
    pub soft_cap: Option<f64>,
    /// Or they become `z + log sigmoid(z)`.
    pub sigsoftmax: bool,
}

/// Soft cap `cap tanh(z / cap)`: keeps logits inside `(-cap, cap)` (Gemma 2, 2024, arXiv 2408.00118).
///
/// # Errors
/// libtorch refused.
pub fn soft_cap(logits: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(logits.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?)
}

/// `z + log sigmoid(z)`, of any shape: the logits whose softmax is the sigsoftmax of `z` (Kanai et al. 2018, "Sigsoftmax:
/// Reanalysis of the Softmax Bottleneck", arXiv 1805.10829), since `exp(z) sigmoid(z) = exp(z + log sigmoid(z))`. Stable for
/// logits of any size.
///
/// ```
/// use tch::Tensor;
/// let transformed = lexmax_output::sigsoftmax(&Tensor::from_slice(&[0.0_f64, -1e4]))?;
/// assert!((transformed.double_value(&[0]) - 0.5_f64.ln()).abs() < 1e-12);
/// assert_eq!(transformed.double_value(&[1]), -2e4);
/// # Ok::<(), lexmax_output::OutputError>(())
/// ```
///
/// # Errors
/// libtorch refused.
pub fn sigsoftmax(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.f_add(&logits.f_log_sigmoid()?)?)
}

impl<'a> Linear<'a> {
    /// Plain logits `W h + b`.
    pub fn new(hidden: &'a Tensor, weight: &'a Tensor, bias: Option<&'a Tensor>) -> Self {
        Self { hidden, weight, bias, temperature: 1.0, soft_cap: None, sigsoftmax: false }
    }

    /// Logits `[N, V]` after temperature, soft cap and sigsoftmax.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn logits(&self) -> Result<Tensor> {
        let mut logits = self.hidden.f_linear(self.weight, self.bias)?;
        if self.temperature != 1.0 {
            logits = logits.f_div_scalar(self.temperature)?;
        }
        if let Some(cap) = self.soft_cap {
            logits = soft_cap(&logits, cap)?;
        }
        if self.sigsoftmax { sigsoftmax(&logits) } else { Ok(logits) }
    }

    /// Log-probability of one target a row, `[N]`; differentiable on both paths.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn log_prob(&self, targets: &Tensor, scratch: Option<&Scratch>) -> Result<LogProb> {
        match scratch {
            Some(scratch) => fused::log_prob(*self, targets, scratch),
            None => dense::log_prob(&self.logits()?, targets),
        }
    }

    /// Log-probabilities of all classes, `[N, V]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn log_probs(&self) -> Result<LogProb> {
        dense::log_probs(&self.logits()?)
    }

    /// The exact `k` most probable classes of each row; no graph is recorded.
    ///
    /// # Errors
    /// `k` outside `1..=V`.
    pub fn top_k(&self, op: &'static str, k: i64, scratch: Option<&Scratch>) -> Result<TopK> {
        match scratch {
            Some(scratch) => Ok(fused::top_k(op, *self, k, scratch)?.0),
            None => dense::top_k(op, &self.logits()?, k),
        }
    }

    /// As [`Linear::top_k`], and the log-normalisers `log sum_c exp z_c` of the rows, `[N]`, f64: with one of them any logit of
    /// the row is a log-probability.
    ///
    /// # Errors
    /// `k` outside `1..=V`.
    pub fn top_k_and_normaliser(
        &self,
        op: &'static str,
        k: i64,
        scratch: &Scratch,
    ) -> Result<(TopK, Tensor)> {
        fused::top_k(op, *self, k, scratch)
    }

    /// One exact draw from the softmax of each row, `[N]`.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn sample(&self, rng: &mut Generator, scratch: Option<&Scratch>) -> Result<Tensor> {
        match scratch {
            Some(scratch) => fused::sample(*self, rng, scratch),
            None => sample_logits(&self.logits()?, rng),
        }
    }
}
