//! What the rules need of a number beyond [`Element`], and the one place where a [`Level`] becomes code.

use std::ops::Div;

use super::rule::Rule;
use super::sweep::{Part, sweep};
use crate::{Element, Level};

/// f32 or f64, with division and roots.
pub trait RowElement: Element + Div<Output = Self> {
    /// Square root, rounded correctly.
    #[doc(hidden)]
    fn root(self) -> Self;
    /// One thread's part of an update.
    #[doc(hidden)]
    fn sweep(level: Level, part: &mut Part<'_, Self>, rule: Rule);
}

/// The sweep is plain loops: it is compiled once for each set of instructions, and the compiler makes the vectors.
macro_rules! row_element {
    ($kind:ty) => {
        impl RowElement for $kind {
            fn root(self) -> Self {
                self.sqrt()
            }

            fn sweep(level: Level, part: &mut Part<'_, Self>, rule: Rule) {
                #[cfg(target_arch = "x86_64")]
                {
                    #[target_feature(enable = "avx512f,avx2")]
                    fn with_avx512(part: &mut Part<'_, $kind>, rule: Rule) {
                        sweep(part, rule);
                    }
                    #[target_feature(enable = "avx2")]
                    fn with_avx2(part: &mut Part<'_, $kind>, rule: Rule) {
                        sweep(part, rule);
                    }
                    if level.is_available() {
                        match level {
                            // SAFETY: the processor was asked just above.
                            Level::Avx512 => return unsafe { with_avx512(part, rule) },
                            // SAFETY: the processor was asked just above.
                            Level::Avx2 => return unsafe { with_avx2(part, rule) },
                            Level::Portable => {}
                        }
                    }
                }
                sweep(part, rule);
            }
        }
    };
}

row_element!(f32);
row_element!(f64);
