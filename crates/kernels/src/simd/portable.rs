//! Vectors as arrays: the level that every processor has, and the only one for f64.

use super::math;
use super::vector::{Vector, Vector32};

/// Register of eight elements, an array.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Array8<T>([T; 8]);

macro_rules! array_arithmetic {
    ($scalar:ty) => {
        type Scalar = $scalar;
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: $scalar) -> Self {
            Self([value; 8])
        }
        #[inline(always)]
        unsafe fn load(from: *const $scalar) -> Self {
            // SAFETY: the caller promises 8 readable numbers.
            Self(unsafe { from.cast::<[$scalar; 8]>().read_unaligned() })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut $scalar) {
            // SAFETY: the caller promises 8 writable numbers.
            unsafe { to.cast::<[$scalar; 8]>().write_unaligned(self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] / other.0[i]))
        }
        // Two roundings: a fused one is a call of the C library where the processor lacks it.
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + addend.0[i]))
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }))
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| if self.0[i] < other.0[i] { self.0[i] } else { other.0[i] }))
        }
        #[inline(always)]
        unsafe fn abs(self) -> Self {
            Self(self.0.map(<$scalar>::abs))
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            Self(self.0.map(<$scalar>::sqrt))
        }
        #[inline(always)]
        unsafe fn with_sign_of(self, sign: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i].copysign(sign.0[i])))
        }
        #[inline(always)]
        unsafe fn zero_where_less(self, left: Self, right: Self) -> Self {
            Self(std::array::from_fn(|i| if left.0[i] < right.0[i] { 0.0 } else { self.0[i] }))
        }
        #[inline(always)]
        unsafe fn any_greater(self, other: Self) -> bool {
            (0..8).fold(false, |any, i| any | (self.0[i] > other.0[i]))
        }
        #[inline(always)]
        unsafe fn sum(self) -> f64 {
            let [a, b, c, d, e, f, g, h] = self.0;
            f64::from(((a + e) + (c + g)) + ((b + f) + (d + h)))
        }
    };
}

// SAFETY: plain arithmetic, which every processor has; load and store touch exactly `LANES`
// numbers.
unsafe impl Vector for Array8<f32> {
    array_arithmetic!(f32);

    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: no special instructions.
        unsafe { math::exp(self) }
    }
    #[inline(always)]
    unsafe fn tanh(self) -> Self {
        // SAFETY: no special instructions.
        unsafe { math::tanh(self) }
    }
    #[inline(always)]
    unsafe fn log_sigmoid(self) -> Self {
        // SAFETY: no special instructions.
        unsafe { math::log_sigmoid(self) }
    }
}

// SAFETY: as above.
unsafe impl Vector for Array8<f64> {
    array_arithmetic!(f64);

    #[inline(always)]
    unsafe fn exp(self) -> Self {
        Self(self.0.map(f64::exp))
    }
    #[inline(always)]
    unsafe fn tanh(self) -> Self {
        Self(self.0.map(f64::tanh))
    }
    #[inline(always)]
    unsafe fn log_sigmoid(self) -> Self {
        Self(self.0.map(|x| x.min(0.0) - (-x.abs()).exp().ln_1p()))
    }
}

// SAFETY: as above.
unsafe impl Vector32 for Array8<f32> {
    #[inline(always)]
    unsafe fn times_power_of_two(self, shifted: Self) -> Self {
        let power = |exponent: i32| f32::from_bits(((exponent.wrapping_add(127)) as u32) << 23);
        Self(std::array::from_fn(|i| {
            let n = shifted.0[i].to_bits().wrapping_sub(math::ROUNDER.to_bits()) as i32;
            // In two halves, since 2^128 is not an f32 though 2^128 times something below one half
            // of it may be.
            let half = n >> 1;
            self.0[i] * power(half) * power(n.wrapping_sub(half))
        }))
    }
}
