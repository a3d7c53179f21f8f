//! The softmax over a linear layer, and its exact answers by any path.

use lexmax_kernels::LogitTransform;
use lexmax_kernels::seed::Generator;
use tch::Tensor;

use crate::chunked::{self, ChunkMemory};
use crate::dense::wide_kind;
use crate::fused::{self, Scratch};
use crate::{LogProb, OutputError, PathMemory, Result, TopK, dense, sample_logits, transform_logits};

/// Linear layer before a softmax, with what happens to its logits:
/// `z = f((W h + b) / temperature)`.
///
/// The queries take the path whose memory they are given. Beside the kernels they are plain ATen
/// over chunks of rows, so that logits `[N, V]` never exist at once where no graph is recorded.
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

    /// Log-probability of one target a row, `[N]`; differentiable on all paths.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn log_prob(&self, targets: &Tensor, path: &PathMemory) -> Result<LogProb> {
        self.check("log_prob")?;
        match path {
            PathMemory::Fused(scratch) => fused::log_prob(*self, targets, scratch),
            PathMemory::Chunked(memory) => chunked::log_prob(*self, targets, *memory),
            PathMemory::Reference => {
                let parts = self.by_chunks(path.chunk_memory(), LOG_PROB_TENSORS, |part, first, rows| {
                    let targets = targets.f_narrow(0, first, rows)?;
                    Ok(dense::log_prob(&part.logits()?, &targets)?.into_tensor())
                })?;
                Ok(LogProb::from_normalised(joined(parts)?))
            }
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
    pub fn top_k(&self, op: &'static str, k: i64, path: &PathMemory) -> Result<TopK> {
        self.check(op)?;
        if let Some(scratch) = path.scratch() {
            return Ok(self.top_k_and_normaliser(op, k, scratch)?.0);
        }
        // Without a graph no chunk outlives its turn.
        let _guard = tch::no_grad_guard();
        let memory = path.chunk_memory();
        let mut parts =
            self.by_chunks(memory, TOP_K_TENSORS, |part, _, _| dense::top_k(op, &part.logits()?, k))?;
        if parts.len() == 1 { Ok(parts.remove(0)) } else { TopK::joined(parts) }
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
    pub fn sample(&self, rng: &mut Generator, path: &PathMemory) -> Result<Tensor> {
        self.check("sample")?;
        if let Some(scratch) = path.scratch() {
            return fused::sample(*self, rng, scratch);
        }
        let _guard = tch::no_grad_guard();
        // The rows' numbers come from the generator in their order, whatever the chunks.
        joined(
            self.by_chunks(path.chunk_memory(), DRAW_TENSORS, |part, _, _| {
                sample_logits(&part.logits()?, rng)
            })?,
        )
    }

    /// Answers for chunks of the rows in order: the part of each, its first row and its number of
    /// rows. `tensors` of `[R, V]` live at once in an answer. No rows are one chunk.
    fn by_chunks<T>(
        &self,
        memory: ChunkMemory,
        tensors: i64,
        mut answer: impl FnMut(Linear<'_>, i64, i64) -> Result<T>,
    ) -> Result<Vec<T>> {
        let [classes, rows] = [self.weight, self.hidden].map(|tensor| tensor.size()[0]);
        let bytes = classes * tensors * wide_kind(self.weight.kind()).elt_size_in_bytes() as i64;
        let chunks = memory.chunks(rows, bytes, self.weight.device());
        if chunks.is_one() {
            return Ok(vec![answer(*self, 0, rows)?]);
        }
        let answers = chunks.map(|(first, rows)| {
            let hidden = self.hidden.f_narrow(0, first, rows)?;
            answer(Linear { hidden: &hidden, ..*self }, first, rows)
        });
        answers.collect()
    }
}

/// Tensors `[R, V]` that live at once in an answer: logits, their copies under temperature,
/// transform and in f32, and the exponentials.
const LOG_PROB_TENSORS: i64 = 4;
/// Tensors of a top-k, whose sorting needs room on a GPU.
const TOP_K_TENSORS: i64 = 5;
/// Tensors of a draw: the probabilities and their sums are f64.
const DRAW_TENSORS: i64 = 8;

fn joined(mut parts: Vec<Tensor>) -> Result<Tensor> {
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::f_cat(&parts, 0)? })
}
