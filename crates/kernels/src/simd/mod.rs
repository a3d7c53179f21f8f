//! Vector instructions, chosen at run time.
//!
//! Every sweep over a tile is written once, over the trait [`Vector`]; a [`Level`] says which implementation runs. All
//! levels compute the same formulas; they differ in rounding, where sums over lanes have another order and where fused multiply-add
//! is missing.

pub(crate) mod math;
pub(crate) mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub(crate) use vector::Vector;

/// The instructions that a sweep uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Any processor: arrays, which the compiler vectorises as far as the target's baseline allows.
    Portable,
    /// x86-64 with AVX2 and FMA: 8 numbers of f32.
    Avx2,
    /// x86-64 with AVX-512F: 16 numbers of f32.
    Avx512,
}

impl Level {
    /// Every level, slowest first.
    pub const ALL: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

    /// The fastest level that this processor has.
    ///
    /// ```
    /// use lexmax_kernels::Level;
    /// assert!(Level::best().is_available());
    /// ```
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}
