//! What the rules need of a number beyond [`Element`], and the one place where a [`Level`] becomes code.

use std::ops::Div;

use super::merge::{Sums, add_up};
use super::norm::{Squares, square};
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
    /// One thread's part of the sums of a merge.
    #[doc(hidden)]
    fn add_up(level: Level, job: &mut Sums<'_, Self>);
    /// One thread's part of a sum of squares.
    #[doc(hidden)]
    fn square(level: Level, job: &mut Squares<'_, Self>);
}

/// Plain loops, compiled once for each set of instructions: the compiler makes the vectors.
macro_rules! by_level {
    ($level:expr, $loops:ident($($argument:ident: $kind:ty),*)) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx2")]
            fn with_avx512($($argument: $kind),*) {
                $loops($($argument),*);
            }
            #[target_feature(enable = "avx2")]
            fn with_avx2($($argument: $kind),*) {
                $loops($($argument),*);
            }
            // A level that the processor lacks runs as the portable one.
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
        $loops($($argument),*);
    }};
}

macro_rules! row_element {
    ($kind:ty) => {
        impl RowElement for $kind {
            fn root(self) -> Self {
                self.sqrt()
            }
            fn sweep(level: Level, part: &mut Part<'_, Self>, rule: Rule) {
                by_level!(level, sweep(part: &mut Part<'_, $kind>, rule: Rule))
            }
            fn add_up(level: Level, job: &mut Sums<'_, Self>) {
                by_level!(level, add_up(job: &mut Sums<'_, $kind>))
            }
            fn square(level: Level, job: &mut Squares<'_, Self>) {
                by_level!(level, square(job: &mut Squares<'_, $kind>))
            }
        }
    };
}

row_element!(f32);
row_element!(f64);
