//! Looking for the few logits that matter: does any row of a class beat its threshold?

use crate::element::Element;
use crate::simd::Vector;

/// Whether any value is above its threshold.
///
/// # Safety
/// The processor has the instructions of `V`, both slices have the same length, and `LANES` divides it.
#[inline(always)]
pub(crate) unsafe fn any_above<V: Vector<Scalar: Element>, const UNROLL: usize>(
    values: &[V::Scalar],
    thresholds: &[V::Scalar],
) -> bool {
    let mut any = false;
    // A loop and not a fold: a closure is compiled without the instructions of `V`.
    for at in (0..values.len()).step_by(V::LANES) {
        // SAFETY: registers advance by `LANES`, which divides the common length.
        any |= unsafe { V::load(values.as_ptr().add(at)).any_greater(V::load(thresholds.as_ptr().add(at))) };
    }
    any
}
