//! The number types that the kernels compute in.

use std::ops::{Add, Div, Mul, Sub};

use crate::product::{Product, ProductLibrary};
use crate::simd::Registers;

/// f32, for speed, or f64, for checks: the same algorithm in both.
///
/// Sealed: the kernels are tested for these two.
pub trait Element:
    Registers
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
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
    /// Square root.
    #[doc(hidden)]
    fn root(self) -> Self;
    /// Matrix product by a library's function for this type.
    #[doc(hidden)]
    fn multiply(library: &ProductLibrary, product: Product<'_, Self>);
}

impl Element for f32 {
    const LOWEST: Self = f32::MIN;

    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn root(self) -> Self {
        self.sqrt()
    }
    fn multiply(library: &ProductLibrary, product: Product<'_, Self>) {
        (library.single())(product);
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
    fn root(self) -> Self {
        self.sqrt()
    }
    fn multiply(library: &ProductLibrary, product: Product<'_, Self>) {
        (library.double())(product);
    }
}
