//! Vector instructions, chosen at run time.
//!
//! Every sweep over a tile is written once, over the trait [`Vector`]; a [`Level`] says which
//! implementation runs. All levels compute the same formulas; they differ in rounding, where sums
//! over lanes have another order and where fused multiply-add is missing.

mod dispatch;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub(crate) use dispatch::dispatch;
pub use dispatch::{Kernel, Registers};
pub use vector::Vector;

use std::sync::OnceLock;

/// The environment variable that [`Level::best`] reads.
const VARIABLE: &str = "LEXMAX_LEVEL";

/// The instructions that a sweep uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Any processor: arrays, which the compiler vectorises as far as the target's baseline allows.
    Portable,
    /// x86-64 with AVX2 and FMA: 8 elements of f32.
    Avx2,
    /// x86-64 with AVX-512F: 16 elements of f32.
    Avx512,
}

impl Level {
    /// Every level, slowest first.
    pub const ALL: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

    /// The fastest level that this processor has, or the one that the environment variable
    /// `LEXMAX_LEVEL` names (`portable`, `avx2` or `avx512`; read once in a process). A level that
    /// the processor lacks and a name that is none of these give [`Level::Portable`], so a forced
    /// process never runs instructions that were not asked for. Matrix products are not affected:
    /// the `gemm` crate chooses its instructions itself.
    ///
    /// ```
    /// use lexmax_kernels::Level;
    /// assert!(Level::best().is_available());
    /// ```
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => Self::forced(&name.to_string_lossy()),
            _ => Self::fastest(),
        })
    }

    fn fastest() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }

    /// The level of a name, where this processor has it; portable otherwise.
    fn forced(name: &str) -> Self {
        let level = match name.trim().to_ascii_lowercase().as_str() {
            "avx2" => Self::Avx2,
            "avx512" => Self::Avx512,
            _ => Self::Portable,
        };
        if level.is_available() { level } else { Self::Portable }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forced_level_is_the_named_one_or_portable() {
        for (name, level) in
            [("portable", Level::Portable), ("avx2", Level::Avx2), (" AVX512 ", Level::Avx512)]
        {
            let expected = if level.is_available() { level } else { Level::Portable };
            assert_eq!(Level::forced(name), expected, "{name}");
        }
        for name in ["avx-512", "fastest", "2", "\u{fffd}"] {
            assert_eq!(Level::forced(name), Level::Portable, "{name}");
        }
        assert!(Level::fastest().is_available());
    }
}
