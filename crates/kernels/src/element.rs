//! The number kinds that the kernels compute in, and the one place where a [`Level`] becomes code.

use std::ops::{Add, Mul, Sub};

use crate::gathered::logistic::{Logistic, logistic};
use crate::gathered::rows::{Combine, Dots, combine, dots};
use crate::simd::portable::Array8;
use crate::simd::{Level, Vector};
use crate::tile::choices::{Choices, choices};
use crate::tile::gradient::{Gradient, gradient};
use crate::tile::judge::{Judge, judge};
use crate::tile::normalise::{Normalise, normalise};
use crate::tile::scan::any_above;
use crate::tile::shares::{Shares, shares};

/// f32, the kind for speed, or f64, for checks: the same algorithm in both.
///
/// Sealed: the kernels are tested for these two.
pub trait Element:
    sealed::Sealed
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + 'static
{
    /// The smallest finite number.
    #[doc(hidden)]
    const LOWEST: Self;
    /// Rounds to the nearest.
    #[doc(hidden)]
    fn from_f64(value: f64) -> Self;
    /// Without loss.
    #[doc(hidden)]
    fn to_f64(self) -> f64;
    #[doc(hidden)]
    fn normalise(level: Level, job: &mut Normalise<'_, Self>);
    #[doc(hidden)]
    fn gradient(level: Level, job: &mut Gradient<'_, Self>);
    #[doc(hidden)]
    fn judge(level: Level, job: &mut Judge<'_, Self>);
    #[doc(hidden)]
    fn shares(level: Level, job: &mut Shares<'_, Self>);
    #[doc(hidden)]
    fn choices(level: Level, job: &mut Choices<'_, Self>);
    #[doc(hidden)]
    fn any_above(level: Level, values: &[Self], thresholds: &[Self]) -> bool;
    #[doc(hidden)]
    fn logistic(level: Level, job: &mut Logistic<'_, Self>);
    #[doc(hidden)]
    fn dots(level: Level, job: &mut Dots<'_, Self>);
    #[doc(hidden)]
    fn combine(level: Level, job: &mut Combine<'_, Self>);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A generic sweep compiled once for each set of instructions.
macro_rules! by_level {
    ($level:expr, $sweep:ident($($argument:ident: $kind:ty),*) -> $out:ty) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use crate::simd::x86::{Avx2, Avx512};

            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn with_avx512($($argument: $kind),*) -> $out {
                // SAFETY: called only where the instructions are; the arguments were checked.
                unsafe { $sweep::<Avx512, 1>($($argument),*) }
            }
            #[target_feature(enable = "avx2,fma")]
            unsafe fn with_avx2($($argument: $kind),*) -> $out {
                // SAFETY: called only where the instructions are; the arguments were checked.
                unsafe { $sweep::<Avx2, 2>($($argument),*) }
            }
            // A level that the processor lacks runs as the portable one, so no caller can break the promise.
            if $level.is_available() {
                match $level {
                    // SAFETY: the processor was asked just above.
                    Level::Avx512 => return unsafe { with_avx512($($argument),*) },
                    // SAFETY: the processor was asked just above.
                    Level::Avx2 => return unsafe { with_avx2($($argument),*) },
                    Level::Portable => {}
                }
            }
        }
        // SAFETY: arrays need no special instructions; the arguments were checked.
        unsafe { $sweep::<Array8<f32>, 2>($($argument),*) }
    }};
}

impl Element for f32 {
    const LOWEST: Self = f32::MIN;

    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn normalise(level: Level, job: &mut Normalise<'_, f32>) {
        job.check();
        by_level!(level, normalise(job: &mut Normalise<'_, f32>) -> ())
    }
    fn gradient(level: Level, job: &mut Gradient<'_, f32>) {
        job.check();
        by_level!(level, gradient(job: &mut Gradient<'_, f32>) -> ())
    }
    fn judge(level: Level, job: &mut Judge<'_, f32>) {
        job.check();
        by_level!(level, judge(job: &mut Judge<'_, f32>) -> ())
    }
    fn shares(level: Level, job: &mut Shares<'_, f32>) {
        job.check();
        by_level!(level, shares(job: &mut Shares<'_, f32>) -> ())
    }
    fn choices(level: Level, job: &mut Choices<'_, f32>) {
        job.check();
        by_level!(level, choices(job: &mut Choices<'_, f32>) -> ())
    }
    fn any_above(level: Level, values: &[f32], thresholds: &[f32]) -> bool {
        assert!(values.len() == thresholds.len() && values.len().is_multiple_of(crate::tile::ROW_MULTIPLE));
        by_level!(level, any_above(values: &[f32], thresholds: &[f32]) -> bool)
    }
    fn logistic(level: Level, job: &mut Logistic<'_, f32>) {
        job.check();
        by_level!(level, logistic(job: &mut Logistic<'_, f32>) -> ())
    }
    fn dots(level: Level, job: &mut Dots<'_, f32>) {
        job.check();
        by_level!(level, dots(job: &mut Dots<'_, f32>) -> ())
    }
    fn combine(level: Level, job: &mut Combine<'_, f32>) {
        job.check();
        by_level!(level, combine(job: &mut Combine<'_, f32>) -> ())
    }
}

impl Element for f64 {
    const LOWEST: Self = f64::MIN;

    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn normalise(_: Level, job: &mut Normalise<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { normalise::<Array8<f64>, 2>(job) }
    }
    fn gradient(_: Level, job: &mut Gradient<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { gradient::<Array8<f64>, 2>(job) }
    }
    fn judge(_: Level, job: &mut Judge<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { judge::<Array8<f64>, 2>(job) }
    }
    fn shares(_: Level, job: &mut Shares<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { shares::<Array8<f64>, 2>(job) }
    }
    fn choices(_: Level, job: &mut Choices<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { choices::<Array8<f64>, 2>(job) }
    }
    fn any_above(_: Level, values: &[f64], thresholds: &[f64]) -> bool {
        assert!(values.len() == thresholds.len() && values.len().is_multiple_of(crate::tile::ROW_MULTIPLE));
        // SAFETY: arrays need no special instructions; the lengths were checked.
        unsafe { any_above::<Array8<f64>, 2>(values, thresholds) }
    }
    fn logistic(_: Level, job: &mut Logistic<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { logistic::<Array8<f64>, 2>(job) }
    }
    fn dots(_: Level, job: &mut Dots<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { dots::<Array8<f64>, 2>(job) }
    }
    fn combine(_: Level, job: &mut Combine<'_, f64>) {
        job.check();
        // SAFETY: arrays need no special instructions; the job was checked.
        unsafe { combine::<Array8<f64>, 2>(job) }
    }
}

/// A function of registers applied to every number of a slice, once for each level. A macro and not a closure: a closure is compiled
/// without the level's instructions.
macro_rules! map_all {
    ($level:expr, $values:expr, $function:ident) => {{
        #[inline(always)]
        unsafe fn sweep<V: Vector<Scalar = f32>, const UNROLL: usize>(values: &mut [f32]) {
            let mut whole = values.chunks_exact_mut(V::LANES);
            for chunk in &mut whole {
                // SAFETY: a whole chunk has `LANES` numbers; the caller has the instructions.
                unsafe { V::load(chunk.as_ptr()).$function().store(chunk.as_mut_ptr()) };
            }
            let rest = whole.into_remainder();
            let mut padded = [0.0; 16];
            padded[..rest.len()].copy_from_slice(rest);
            // SAFETY: the buffer has at least `LANES` numbers; the caller has the instructions.
            unsafe { V::load(padded.as_ptr()).$function().store(padded.as_mut_ptr()) };
            rest.copy_from_slice(&padded[..rest.len()]);
        }
        let values = $values;
        by_level!($level, sweep(values: &mut [f32]) -> ())
    }};
}

/// `exp` of every number: what the sweeps compute, for measurements and tests.
pub(crate) fn exp_all(level: Level, values: &mut [f32]) {
    map_all!(level, values, exp)
}

/// `tanh` of every number, for tests.
#[cfg(test)]
pub(crate) fn tanh_all(level: Level, values: &mut [f32]) {
    map_all!(level, values, tanh)
}

/// `log sigmoid` of every number, for tests.
#[cfg(test)]
pub(crate) fn log_sigmoid_all(level: Level, values: &mut [f32]) {
    map_all!(level, values, log_sigmoid)
}
