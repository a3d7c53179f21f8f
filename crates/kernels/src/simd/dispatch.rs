//! One place where a [`Level`] becomes code: a loop written once, compiled for every level.
//!
//! A sweep is a struct with what it works on and an implementation of [`Kernel`]; [`dispatch`] runs
//! it with the registers of a level.

use super::portable::Array8;
use super::{Level, Vector};

/// Loop over elements of type `T` that is written once for every vector register.
///
/// Everything that `run` calls in its loops has to be `#[inline(always)]`: a function or a closure
/// of its own is compiled without the instructions of the level.
pub trait Kernel<T>: Sized {
    /// Result of the loop.
    type Out;

    /// Panics where the slices are not as `run` relies on; [`dispatch`] calls it first.
    fn check(&self) {}

    /// Runs the loop.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, [`Kernel::check`] passed, and `UNROLL` registers
    /// hold [`crate::tile::ROW_MULTIPLE`] elements.
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) -> Self::Out;
}

/// Runs a kernel with the instructions of a level; one that the processor lacks runs as the
/// portable one.
pub(crate) fn dispatch<T: Registers, K: Kernel<T>>(level: Level, kernel: K) -> K::Out {
    kernel.check();
    T::run(if level.is_available() { level } else { Level::Portable }, kernel)
}

/// Numbers that there are registers of. Sealed by this module being private.
pub trait Registers: Copy {
    /// Runs a checked kernel at a level that the processor has.
    #[doc(hidden)]
    fn run<K: Kernel<Self>>(level: Level, kernel: K) -> K::Out;
}

#[cfg(target_arch = "x86_64")]
use with_features::{avx2, avx512};

#[cfg(target_arch = "x86_64")]
mod with_features {
    use super::{Kernel, Vector};

    /// # Safety
    /// The processor has the instructions, and the kernel was checked.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub unsafe fn avx512<V: Vector, K: Kernel<V::Scalar>, const UNROLL: usize>(kernel: K) -> K::Out {
        // SAFETY: as the caller.
        unsafe { kernel.run::<V, UNROLL>() }
    }

    /// # Safety
    /// The processor has the instructions, and the kernel was checked.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2<V: Vector, K: Kernel<V::Scalar>, const UNROLL: usize>(kernel: K) -> K::Out {
        // SAFETY: as the caller.
        unsafe { kernel.run::<V, UNROLL>() }
    }
}

impl Registers for f32 {
    fn run<K: Kernel<f32>>(level: Level, kernel: K) -> K::Out {
        match level {
            // SAFETY: the processor has the level, and the kernel was checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::<super::x86::Avx512, K, 1>(kernel) },
            // SAFETY: the processor has the level, and the kernel was checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::<super::x86::Avx2, K, 2>(kernel) },
            // SAFETY: arrays need no special instructions, and the kernel was checked.
            _ => unsafe { kernel.run::<Array8<f32>, 2>() },
        }
    }
}

/// Arrays at every level, which the compiler puts into the level's registers; the bits are the
/// same.
impl Registers for f64 {
    fn run<K: Kernel<f64>>(level: Level, kernel: K) -> K::Out {
        match level {
            // SAFETY: the processor has the level, and the kernel was checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::<Array8<f64>, K, 2>(kernel) },
            // SAFETY: the processor has the level, and the kernel was checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::<Array8<f64>, K, 2>(kernel) },
            // SAFETY: arrays need no special instructions, and the kernel was checked.
            _ => unsafe { kernel.run::<Array8<f64>, 2>() },
        }
    }
}
