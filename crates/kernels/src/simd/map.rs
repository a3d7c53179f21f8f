//! A function of registers applied to every number of a slice, for measurements and tests.

use std::marker::PhantomData;

use super::{Kernel, Level, Vector, dispatch};

/// Function of one register. A trait and not a closure: a closure is compiled without the level's
/// instructions.
pub(crate) trait Function {
    /// # Safety
    /// The processor has the instructions of `V`.
    unsafe fn of<V: Vector<Scalar = f32>>(x: V) -> V;
}

/// Exponential function.
pub(crate) struct Exp;

impl Function for Exp {
    #[inline(always)]
    unsafe fn of<V: Vector<Scalar = f32>>(x: V) -> V {
        // SAFETY: as the caller.
        unsafe { x.exp() }
    }
}

/// Replaces every number by the function of it.
pub(crate) fn map<F: Function>(level: Level, values: &mut [f32]) {
    dispatch(level, Map::<F> { values, function: PhantomData });
}

struct Map<'a, F> {
    values: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: Function> Kernel<f32> for Map<'_, F> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = f32>, const UNROLL: usize>(self) {
        let mut whole = self.values.chunks_exact_mut(V::LANES);
        for chunk in &mut whole {
            // SAFETY: a whole chunk has `LANES` numbers; the caller has the instructions.
            unsafe { F::of(V::load(chunk.as_ptr())).store(chunk.as_mut_ptr()) };
        }
        let rest = whole.into_remainder();
        let mut padded = [0.0; 16];
        padded[..rest.len()].copy_from_slice(rest);
        // SAFETY: the buffer has at least `LANES` numbers; the caller has the instructions.
        unsafe { F::of(V::load(padded.as_ptr())).store(padded.as_mut_ptr()) };
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}
