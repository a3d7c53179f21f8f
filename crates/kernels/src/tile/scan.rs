//! Looking for the few logits that matter: does any row of a class beat its threshold?

use super::ROW_MULTIPLE;
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Whether any value is above its threshold.
#[derive(Debug)]
pub struct AnyAbove<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) thresholds: &'a [T],
}

impl<T: Element> Kernel<T> for AnyAbove<'_, T> {
    type Out = bool;

    fn check(&self) {
        assert!(self.values.len() == self.thresholds.len() && self.values.len().is_multiple_of(ROW_MULTIPLE));
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) -> bool {
        let Self { values, thresholds } = self;
        let mut any = false;
        // A loop and not a fold: a closure is compiled without the instructions of `V`.
        for at in (0..values.len()).step_by(V::LANES) {
            // SAFETY: registers advance by `LANES`, which divides the common length.
            any |=
                unsafe { V::load(values.as_ptr().add(at)).any_greater(V::load(thresholds.as_ptr().add(at))) };
        }
        any
    }
}
