//! A linear layer before a softmax, a chunk of rows at a time: logits in one buffer, and their
//! gradient in the same memory.

use tch::{Kind, Tensor};

use super::gradients::LinearGradients;
use super::memory::{ChunkMemory, Chunks};
use crate::dense::wide_kind;
use crate::fused::Gradients;
use crate::transform::{has_slope, transform_in_place};
use crate::{Linear, Result};

/// A linear layer that is swept a chunk of rows at a time.
///
/// A caller asks for the [`logits`](Self::logits) of a chunk, replaces them by their gradient in
/// place, and hands that to [`add_gradients`](Self::add_gradients).
#[derive(Debug)]
pub struct LinearChunks<'a> {
    linear: Linear<'a>,
    logit_offset: Option<&'a Tensor>,
    chunks: Chunks,
    /// Logits `[R, V]`, and then their gradient; of half precision in f32.
    wide: Tensor,
    /// Operand and result of the products, where these are of half precision, `[R, V]`.
    narrow: Option<Tensor>,
    /// Slope of the transform at each logit, `[R, V]`, where it is not one.
    slope: Option<Tensor>,
    made: LinearGradients,
}

/// Bytes of a row's logits in the buffers of [`LinearChunks`].
pub fn row_bytes(linear: &Linear<'_>) -> i64 {
    let classes = linear.weight.size().first().copied().unwrap_or(0);
    let kind = linear.weight.kind();
    let bytes = |kind: Kind| kind.elt_size_in_bytes() as i64;
    let wide = bytes(wide_kind(kind));
    let narrow = if wide_kind(kind) == kind { 0 } else { bytes(kind) };
    // The slope, and what libtorch makes beside a log-sigmoid.
    let slope = if has_slope(linear.transform) { 2 * wide } else { 0 };
    classes * (wide + narrow + slope)
}

impl<'a> LinearChunks<'a> {
    /// Buffers for groups of `group` rows that stay in one chunk (one, but for mixtures), each row
    /// with `beside` bytes of the caller's own; `wanted` are the gradients of hidden states, weight
    /// and bias.
    ///
    /// # Errors
    /// libtorch refused, as for memory that is not there.
    pub fn new(
        linear: Linear<'a>,
        logit_offset: Option<&'a Tensor>,
        (group, beside): (i64, i64),
        wanted: [bool; 3],
        memory: ChunkMemory,
    ) -> Result<Self> {
        let (kind, device) = (linear.weight.kind(), linear.weight.device());
        let groups = linear.hidden.size()[0] / group.max(1);
        let chunks = memory.chunks(groups, group * (row_bytes(&linear) + beside), device);
        let size = [chunks.rows() * group, linear.weight.size()[0]];
        let wide = wide_kind(kind);
        let buffer = |needed: bool, kind| needed.then(|| Tensor::f_empty(size, (kind, device))).transpose();
        Ok(Self {
            wide: Tensor::f_empty(size, (wide, device))?,
            narrow: buffer(wide != kind, kind)?,
            slope: buffer(has_slope(linear.transform), wide)?,
            made: LinearGradients::new(&linear, wanted, chunks.is_one())?,
            linear,
            logit_offset,
            chunks,
        })
    }

    /// First group and number of groups of each chunk.
    pub fn chunks(&self) -> Chunks {
        self.chunks.clone()
    }

    /// Whether any gradient is wanted.
    pub fn wants_gradients(&self) -> bool {
        self.made.wanted()
    }

    /// Logits `[R, V]` of the rows from `first` on, after temperature, transform and offset; they
    /// may be changed in place, and hold until the next call.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn logits(&self, first: i64, rows: i64) -> Result<Tensor> {
        let part = |buffer: &Tensor| buffer.f_narrow(0, 0, rows);
        let mut logits = part(&self.wide)?;
        let narrow = self.narrow.as_ref().map(part).transpose()?;
        let product = narrow.as_ref().unwrap_or(&logits);
        let (hidden, weight) = (self.linear.hidden.f_narrow(0, first, rows)?, self.linear.weight.f_tr()?);
        let _ = match self.linear.bias {
            Some(bias) => bias.f_addmm_out(product, &hidden, &weight)?,
            None => hidden.f_mm_out(product, &weight)?,
        };
        if let Some(narrow) = &narrow {
            logits.f_copy_(narrow)?;
        }
        if self.linear.temperature != 1.0 {
            let _ = logits.f_div_scalar_(self.linear.temperature)?;
        }
        if let Some(slope) = &self.slope {
            transform_in_place(&mut logits, &mut part(slope)?, self.linear.transform)?;
        }
        if let Some(offset) = self.logit_offset {
            let _ = logits.f_add_(offset)?;
        }
        Ok(logits)
    }

    /// Adds what follows from the gradient `[R, V]` of the last [`logits`](Self::logits), which
    /// were those from `first` on. It is changed in place. The caller has divided it by the
    /// temperature.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn add_gradients(&mut self, first: i64, mut gradient: Tensor) -> Result<()> {
        let rows = gradient.size()[0];
        if let Some(slope) = &self.slope {
            let _ = gradient.f_mul_(&slope.f_narrow(0, 0, rows)?)?;
        }
        let Some(narrow) = &self.narrow else {
            return self.made.add(&self.linear, first, &gradient, &gradient);
        };
        let mut product = narrow.f_narrow(0, 0, rows)?;
        product.f_copy_(&gradient)?;
        self.made.add(&self.linear, first, &product, &gradient)
    }

    /// The gradients of hidden states, weight and bias.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn finish(self) -> Result<Gradients> {
        self.made.finish()
    }
}
