//! Gradients of a linear layer, added up over the chunks of its rows.

use tch::{Kind, Tensor};

use crate::dense::wide_kind;
use crate::fused::{Gradient, Gradients};
use crate::{Linear, Result};

/// Bytes of one product for the weight's gradient in half precision, before it is added in f32.
const BLOCK_BYTES: i64 = 16 << 20;

/// Gradients of hidden states `[N, D]`, weight `[V, D]` and bias `[V]`; those that are `None` are
/// not computed.
///
/// The weight's gradient is a sum over chunks. In half precision it is added up in f32 where there
/// is more than one chunk: each sum in bf16 would be off by up to a 256th of it, chunk after chunk,
/// and small terms would be lost.
#[derive(Debug)]
pub(super) struct LinearGradients {
    hidden: Option<Tensor>,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    kind: Kind,
    /// Whether a chunk was added: the first one overwrites.
    started: bool,
}

impl LinearGradients {
    /// Memory for the wanted gradients of hidden states, weight and bias.
    pub fn new(linear: &Linear<'_>, wanted: [bool; 3], one_chunk: bool) -> Result<Self> {
        let (kind, device) = (linear.weight.kind(), linear.weight.device());
        let wide = wide_kind(kind);
        let empty = |wanted: bool, like: Option<&Tensor>, kind| match like.filter(|_| wanted) {
            Some(like) => Tensor::f_empty(like.size(), (kind, device)).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            hidden: empty(wanted[0], Some(linear.hidden), kind)?,
            weight: empty(wanted[1], Some(linear.weight), if one_chunk { kind } else { wide })?,
            bias: empty(wanted[2], linear.bias, wide)?,
            kind,
            started: false,
        })
    }

    /// Whether any gradient is wanted.
    pub fn wanted(&self) -> bool {
        self.hidden.is_some() || self.weight.is_some() || self.bias.is_some()
    }

    /// Adds a chunk: the gradient of its logits `[R, V]`, in the dtype of the products, and with
    /// the digits that it was made with.
    pub fn add(&mut self, linear: &Linear<'_>, first: i64, product: &Tensor, wide: &Tensor) -> Result<()> {
        let rows = product.size()[0];
        if let Some(d_hidden) = &self.hidden {
            let _ = product.f_mm_out(&d_hidden.f_narrow(0, first, rows)?, linear.weight)?;
        }
        if let Some(d_weight) = &mut self.weight {
            let hidden = linear.hidden.f_narrow(0, first, rows)?;
            add_weight(d_weight, product, &hidden, self.started)?;
        }
        if let Some(d_bias) = &mut self.bias {
            let sums = wide.f_sum_dim_intlist([0_i64].as_slice(), false, None::<Kind>)?;
            if self.started {
                let _ = d_bias.f_add_(&sums)?;
            } else {
                *d_bias = sums;
            }
        }
        self.started = true;
        Ok(())
    }

    /// The gradients in the dtype of the parameters; zeros where no chunk was added.
    pub fn finish(mut self) -> Result<Gradients> {
        let all = [&mut self.hidden, &mut self.weight, &mut self.bias];
        let (kind, started) = (self.kind, self.started);
        let finished = all.into_iter().map(|made: &mut Option<Tensor>| -> Result<Option<Gradient>> {
            let Some(mut made) = made.take() else { return Ok(None) };
            if !started {
                let _ = made.f_zero_()?;
            }
            Ok(Some(Gradient::from(if made.kind() == kind { made } else { made.f_to_kind(kind)? })))
        });
        finished.collect()
    }
}

/// Adds `product^T hidden` to the weight's gradient, or overwrites that where nothing was added
/// before.
fn add_weight(d_weight: &mut Tensor, product: &Tensor, hidden: &Tensor, started: bool) -> Result<()> {
    if d_weight.kind() == hidden.kind() {
        let by_class = product.f_tr()?;
        if started {
            let _ = d_weight.f_addmm_(&by_class, hidden)?;
        } else {
            let _ = by_class.f_mm_out(d_weight, hidden)?;
        }
        return Ok(());
    }
    // A block of classes at a time, so that no second `[V, D]` is made for the product.
    let [classes, width] = [product.size()[1], hidden.size()[1]];
    let block = (BLOCK_BYTES / (width * hidden.kind().elt_size_in_bytes() as i64).max(1)).max(1);
    for first in (0..classes).step_by(usize::try_from(block).unwrap_or(1)) {
        let len = block.min(classes - first);
        let made = product.f_narrow(1, first, len)?.f_tr()?.f_mm(hidden)?;
        let mut into = d_weight.f_narrow(0, first, len)?;
        if started {
            let _ = into.f_add_(&made)?;
        } else {
            into.f_copy_(&made)?;
        }
    }
    Ok(())
}
