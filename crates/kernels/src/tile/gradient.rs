//! Second sweep over a tile: from logits or exponentials to the gradient of the raw logits, in
//! place.

use super::{ROW_MULTIPLE, Shape, Transform};
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Content of a tile before the second sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileState {
    /// Exponentials `exp(z - max of the row in this tile)`, left by
    /// [`super::normalise::Keep::Exponentials`].
    Exponentials,
    /// Transformed logits, left by [`super::normalise::Keep::Logits`].
    Logits,
    /// Raw logits of the matrix product.
    Raw,
}

/// One sweep over one tile: `G_ci = (mass_i exp(z_ci - max_i) - spread_i w_c) f'`, where `f'` is
/// the slope of the transform and the target's own term is missing: the caller subtracts it.
#[derive(Debug)]
pub struct Gradient<'a, T> {
    pub(crate) tile: &'a mut [T],
    pub(crate) shape: Shape,
    pub(crate) transform: Transform<'a, T>,
    pub(crate) from: TileState,
    /// Largest logit of each row, `[padded]`; not read for [`TileState::Exponentials`].
    pub(crate) max: &'a [T],
    /// Factor of the exponentials, `[padded]`; zero for padding.
    pub(crate) mass: &'a [T],
    /// Factor of the class weights, `[padded]`, and the class weights, `[classes]` (all one for
    /// `None`).
    pub(crate) spread: Option<(&'a [T], Option<&'a [T]>)>,
    /// Gradient of the bias, `[classes]`; sums over this tile's rows are added.
    pub(crate) bias: Option<&'a mut [f64]>,
}

impl<T: Element> Kernel<T> for Gradient<'_, T> {
    type Out = ();

    fn check(&self) {
        let (padded, classes) = (self.shape.padded(), self.shape.classes);
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len());
        assert!(
            self.mass.len() >= padded && (self.from == TileState::Exponentials || self.max.len() >= padded)
        );
        self.transform.check(classes);
        if let Some((rows, weights)) = self.spread {
            assert!(rows.len() >= padded && weights.is_none_or(|weights| weights.len() == classes));
        }
        assert!(self.bias.as_ref().is_none_or(|bias| bias.len() == classes));
        assert!(
            self.from != TileState::Exponentials || self.transform.is_affine(),
            "the slope is a function of the logit"
        );
    }

    // The sweep. Here a class's rows are walked in order, so that the bias's sum is made on the
    // way.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let (padded, stride) = (self.shape.padded(), self.shape.stride());
        for class in 0..self.shape.classes {
            // SAFETY: `padded <= stride`, rows advance by `LANES` which divides `padded`, and the
            // checks hold, so every register lies in its slice.
            unsafe {
                let row_of = self.tile.as_mut_ptr().add(class * stride);
                let mut sum = V::splat(T::default());
                for row in (0..padded).step_by(V::LANES) {
                    let mut value = V::load(row_of.add(row));
                    if self.from == TileState::Raw {
                        value = self.transform.apply(value, class);
                    }
                    let exponential = if self.from == TileState::Exponentials {
                        value
                    } else {
                        self.transform.add_offset(value, class).sub(V::load(self.max.as_ptr().add(row))).exp()
                    };
                    let mut result = exponential.mul(V::load(self.mass.as_ptr().add(row)));
                    if let Some((spread, weights)) = self.spread {
                        let spread = V::load(spread.as_ptr().add(row));
                        result = match weights {
                            Some(weights) => result.sub(spread.mul(V::splat(*weights.get_unchecked(class)))),
                            None => result.sub(spread),
                        };
                    }
                    if !self.transform.is_affine() {
                        result = self.transform.function.times_slope(result, value);
                    }
                    result.store(row_of.add(row));
                    sum = sum.add(result);
                }
                if let Some(bias) = &mut self.bias {
                    *bias.get_unchecked_mut(class) += sum.sum();
                }
            }
        }
    }
}
