//! A tile: the logits of some rows against one block of classes, small enough for the cache.
//!
//! A tile lies **transposed**, `[classes, rows]`, each class padded to [`Shape::stride`] elements.
//! So a vector register holds the same class of neighbouring rows: maximum and sum need no
//! reduction across lanes, a class's bias is one broadcast, and the products that make and use a
//! tile reach the best rate of the `gemm` crate (for 512 classes by 128 or 256 rows 93 to 95
//! GFLOP/s against 86 to 92 for `[rows, classes]`, on one Zen 3 core).

pub(crate) mod choices;
pub(crate) mod gradient;
pub(crate) mod normalise;
pub(crate) mod product;
pub(crate) mod scan;
pub(crate) mod shares;
pub(crate) mod threshold;

use crate::element::Element;
use crate::simd::Vector;
use crate::transform::LogitTransform;

/// Rows of a tile are padded to a multiple of this: one cache line of f32, and one register of
/// AVX-512.
pub(crate) const ROW_MULTIPLE: usize = 16;

/// Size of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Rows without padding.
    pub rows: usize,
    /// Classes of this block.
    pub classes: usize,
}

impl Shape {
    /// Rows with padding, all of which the sweeps run over.
    pub fn padded(self) -> usize {
        self.rows.next_multiple_of(ROW_MULTIPLE)
    }

    /// Distance of neighbouring classes: an odd number of cache lines, so that walking down the
    /// classes of a few rows uses every set of the first-level cache.
    pub fn stride(self) -> usize {
        stride(self.rows)
    }

    /// Elements of the tile, padding included.
    pub fn len(self) -> usize {
        self.classes * self.stride()
    }
}

/// The stride of tiles of so many rows.
pub(crate) fn stride(rows: usize) -> usize {
    (rows.div_ceil(ROW_MULTIPLE) | 1) * ROW_MULTIPLE
}

/// Transform from a raw logit `h . W_c` to the softmax's input, `f((raw + bias) scale) + offset`.
///
/// Slices hold the classes of one block.
#[derive(Debug, Clone, Copy)]
pub struct Transform<'a, T> {
    pub(crate) bias: Option<&'a [T]>,
    /// One over the temperature.
    pub(crate) scale: f64,
    /// Function `f` of the scaled logit.
    pub(crate) function: LogitTransform,
    pub(crate) offset: Option<&'a [T]>,
}

impl<'a, T: Element> Transform<'a, T> {
    /// Identity: raw logits are the softmax's input.
    pub(crate) fn identity() -> Self {
        Transform { bias: None, scale: 1.0, function: LogitTransform::Identity, offset: None }
    }

    /// Restricts the transform to the classes of a block.
    pub(crate) fn of_block(&self, classes: std::ops::Range<usize>) -> Transform<'a, T> {
        Transform {
            bias: self.bias.map(|bias| &bias[classes.clone()]),
            offset: self.offset.map(|offset| &offset[classes]),
            ..*self
        }
    }

    /// Whether raw logits stay as they are (the offset is added where a logit is used, and never
    /// stored).
    pub(crate) fn keeps_raw(&self) -> bool {
        self.bias.is_none() && self.scale == 1.0 && self.is_affine()
    }

    /// Whether the gradient of a raw logit is that of the transformed one but for the scale, so
    /// that it need not be known.
    pub(crate) fn is_affine(&self) -> bool {
        self.function.is_affine()
    }

    fn check(&self, classes: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == classes));
        assert!(self.offset.is_none_or(|offset| offset.len() == classes));
    }

    /// All but the offset, for one register of one class.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; `class` is in the block that [`Transform::check`]
    /// saw.
    #[inline(always)]
    unsafe fn apply<V: Vector<Scalar = T>>(&self, raw: V, class: usize) -> V {
        // SAFETY: the caller has the instructions, and the class is in range.
        unsafe {
            let mut logit = raw;
            if let Some(bias) = self.bias {
                logit = logit.add(V::splat(*bias.get_unchecked(class)));
            }
            if self.scale != 1.0 {
                logit = logit.mul(V::splat(T::from_f64(self.scale)));
            }
            self.function.apply(logit)
        }
    }

    /// A transformed logit with its offset.
    ///
    /// # Safety
    /// As [`Transform::apply`].
    #[inline(always)]
    unsafe fn add_offset<V: Vector<Scalar = T>>(&self, logit: V, class: usize) -> V {
        match self.offset {
            // SAFETY: as the caller.
            Some(offset) => unsafe { logit.add(V::splat(*offset.get_unchecked(class))) },
            None => logit,
        }
    }
}
