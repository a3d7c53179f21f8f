//! The softmax over a linear layer, and its exact answers by either path.

use lexmax_kernels::LogitTransform;
use lexmax_kernels::seed::Generator;
use tch::Tensor;

use crate::fused::{self, Scratch};
use crate::{LogProb, OutputError, Result, TopK, dense, sample_logits, transform_logits};

/// Linear layer before a softmax, with what happens to its logits:
/// `z = f((W h + b) / temperature)`.
///
/// The queries take the fused kernels if they are given a [`Scratch`], and plain ATen where not.
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
    /// Transform `f` of the logits.
    pub transform: LogitTransform,
}

impl<'a> Linear<'a> {
    /// Plain logits `W h + b`.
    pub fn new(hidden: &'a Tensor, weight: &'a Tensor, bias: Option<&'a Tensor>) -> Self {
        Self { hidden, weight, bias, temperature: 1.0, transform: LogitTransform::Identity }
    }

    /// Checks that hidden states `[N, D]`, weight `[V, D]` and bias `[V]` fit together: the kernels
    /// see lengths alone.
    ///
    /// # Errors
    /// The first tensor of another shape.
    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        let fits = |what, tensor: &Tensor, fits: bool, expected: String| {
            let given = tensor.size();
            if fits { Ok(()) } else { Err(OutputError::Shape { op, what, given, expected }) }
        };
        let &[classes, width] = self.weight.size().as_slice() else {
            return fits("weight", self.weight, false, "[V, D]".to_owned());
        };
        let of_width = matches!(self.hidden.size().as_slice(), [_, own] if *own == width);
        fits("hidden", self.hidden, of_width, format!("[N, {width}], as wide as the weight"))?;
        match self.bias {
            Some(bias) => {
                fits("bias", bias, bias.size() == [classes], format!("[{classes}], one for each class"))
            }
            None => Ok(()),
        }
    }

    /// Logits `[N, V]` after temperature and transform.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn logits(&self) -> Result<Tensor> {
        let mut logits = self.hidden.f_linear(self.weight, self.bias)?;
        if self.temperature != 1.0 {
            logits = logits.f_div_scalar(self.temperature)?;
        }
        transform_logits(&logits, self.transform)
    }

    /// Log-probability of one target a row, `[N]`; differentiable on both paths.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn log_prob(&self, targets: &Tensor, scratch: Option<&Scratch>) -> Result<LogProb> {
        match scratch {
            Some(scratch) => {
                self.check("log_prob")?;
                fused::log_prob(*self, targets, scratch)
            }
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
            Some(scratch) => Ok(self.top_k_and_normaliser(op, k, scratch)?.0),
            None => dense::top_k(op, &self.logits()?, k),
        }
    }

    /// The answer of [`Linear::top_k`], and the log-normalisers `log sum_c exp z_c` of the rows,
    /// `[N]`, f64: with one of them any logit of the row is a log-probability.
    ///
    /// # Errors
    /// `k` outside `1..=V`.
    pub fn top_k_and_normaliser(
        &self,
        op: &'static str,
        k: i64,
        scratch: &Scratch,
    ) -> Result<(TopK, Tensor)> {
        self.check(op)?;
        fused::top_k(op, *self, k, scratch)
    }

    /// One exact draw from the softmax of each row, `[N]`.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn sample(&self, rng: &mut Generator, scratch: Option<&Scratch>) -> Result<Tensor> {
        match scratch {
            Some(scratch) => {
                self.check("sample")?;
                fused::sample(*self, rng, scratch)
            }
            None => sample_logits(&self.logits()?, rng),
        }
    }
}
