//! Selection of classes between the two sweeps, for filtered gradients: finds the classes of a tile
//! to which some row gives a probability above a threshold.

use super::gradient::TileState;
use super::{ROW_MULTIPLE, Shape, Transform};
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Sweep over one tile that compares probabilities with a threshold. For each class: whether some
/// row's `p = share_i exp(z_ci - max_i)` is above `eps` (or NaN, which must stay visible), and
/// `sum_i p`. The tile is not changed.
#[derive(Debug)]
pub struct Threshold<'a, T> {
    pub(crate) tile: &'a [T],
    pub(crate) shape: Shape,
    pub(crate) transform: Transform<'a, T>,
    pub(crate) from: TileState,
    /// Largest logit of each row, `[padded]`; not read for [`TileState::Exponentials`].
    pub(crate) max: &'a [T],
    /// Factor from an exponential to a probability, `[padded]`; zero for padding.
    pub(crate) share: &'a [T],
    pub(crate) eps: T,
    /// Output: whether some row's probability is above `eps`, `[classes]`.
    pub(crate) above: &'a mut [bool],
    /// Output: sum of the class's probabilities over rows, `[classes]`.
    pub(crate) total: &'a mut [f64],
}

impl<T: Element> Kernel<T> for Threshold<'_, T> {
    type Out = ();

    fn check(&self) {
        let (padded, classes) = (self.shape.padded(), self.shape.classes);
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len());
        assert!(
            self.share.len() >= padded && (self.from == TileState::Exponentials || self.max.len() >= padded)
        );
        assert!(self.above.len() == classes && self.total.len() == classes);
        self.transform.check(classes);
    }

    // The sweep.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        let (padded, stride) = (self.shape.padded(), self.shape.stride());
        for class in 0..self.shape.classes {
            // SAFETY: `padded <= stride`, rows advance by `LANES` which divides `padded`, and the
            // checks hold, so every register lies in its slice.
            unsafe {
                let row_of = self.tile.as_ptr().add(class * stride);
                let mut largest = V::splat(T::default());
                let mut sum = largest;
                for row in (0..padded).step_by(V::LANES) {
                    let mut value = V::load(row_of.add(row));
                    if self.from == TileState::Raw {
                        value = self.transform.apply(value, class);
                    }
                    if self.from != TileState::Exponentials {
                        let logit = self.transform.add_offset(value, class);
                        value = logit.sub(V::load(self.max.as_ptr().add(row))).exp();
                    }
                    let probability = value.mul(V::load(self.share.as_ptr().add(row)));
                    largest = largest.max(probability);
                    sum = sum.add(probability);
                }
                let total = sum.sum();
                *self.above.get_unchecked_mut(class) =
                    largest.any_greater(V::splat(self.eps)) || !total.is_finite();
                *self.total.get_unchecked_mut(class) = total;
            }
        }
    }
}
