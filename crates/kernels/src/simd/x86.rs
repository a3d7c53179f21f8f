//! Vectors of f32 on x86-64: AVX2 with FMA, and AVX-512F.

use std::arch::x86_64::*;

use super::math::{self, ROUNDER};
use super::vector::{Vector, Vector32};

/// Eight f32 of AVX2.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Avx2(__m256);

/// Sixteen f32 of AVX-512.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Avx512(__m512);

// In both implementations each method is unsafe for the reason of the trait: the caller has checked
// that the processor has the instructions, and gives pointers to `LANES` numbers. That is what
// every SAFETY comment below rests on.

macro_rules! by_intrinsics {
    ($register:ident, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $mul_add:ident, $max:ident, $min:ident, $sqrt:ident) => {
        type Scalar = f32;
        const LANES: usize = $lanes;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $splat(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller has the instruction and promises `LANES` readable numbers.
            Self(unsafe { $load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller has the instruction and promises `LANES` writable numbers.
            unsafe { $store(to, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $add(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $sub(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $mul(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $div(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $mul_add(self.0, factor.0, addend.0) })
        }
        // The instruction gives its second operand where one is not a number.
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $max(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $min(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            // SAFETY: the caller has the instruction.
            Self(unsafe { $sqrt(self.0) })
        }
        #[inline(always)]
        unsafe fn exp(self) -> Self {
            // SAFETY: the caller has the instructions.
            unsafe { math::exp(self) }
        }
        #[inline(always)]
        unsafe fn tanh(self) -> Self {
            // SAFETY: the caller has the instructions.
            unsafe { math::tanh(self) }
        }
        #[inline(always)]
        unsafe fn log_sigmoid(self) -> Self {
            // SAFETY: the caller has the instructions.
            unsafe { math::log_sigmoid(self) }
        }
    };
}

// SAFETY: load and store touch exactly `LANES` numbers; the instructions are AVX2 and FMA.
unsafe impl Vector for Avx2 {
    by_intrinsics!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_fmadd_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        _mm256_sqrt_ps
    );

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }
    #[inline(always)]
    unsafe fn with_sign_of(self, sign: Self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            Self(_mm256_or_ps(_mm256_and_ps(bit, sign.0), _mm256_andnot_ps(bit, self.0)))
        }
    }
    #[inline(always)]
    unsafe fn zero_where_less(self, left: Self, right: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(left.0, right.0), self.0) })
    }
    #[inline(always)]
    unsafe fn any_greater(self, other: Self) -> bool {
        // SAFETY: the caller has the instructions.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) != 0 }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f64 {
        // SAFETY: the caller has the instructions.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            f64::from(_mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))))
        }
    }
}

// SAFETY: as above.
unsafe impl Vector32 for Avx2 {
    #[inline(always)]
    unsafe fn times_power_of_two(self, shifted: Self) -> Self {
        // SAFETY: the caller has the instructions. Exponents are halved since 2^128 alone is not an
        // f32.
        unsafe {
            let n = _mm256_sub_epi32(
                _mm256_castps_si256(shifted.0),
                _mm256_castps_si256(_mm256_set1_ps(ROUNDER)),
            );
            let half = _mm256_srai_epi32::<1>(n);
            let power = |exponent| {
                let biased = _mm256_add_epi32(exponent, _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            };
            Self(_mm256_mul_ps(_mm256_mul_ps(self.0, power(half)), power(_mm256_sub_epi32(n, half))))
        }
    }
}

// SAFETY: load and store touch exactly `LANES` numbers; the instructions are AVX-512F.
unsafe impl Vector for Avx512 {
    by_intrinsics!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_fmadd_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        _mm512_sqrt_ps
    );

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: the caller has the instruction.
        Self(unsafe { _mm512_abs_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn with_sign_of(self, sign: Self) -> Self {
        // SAFETY: the caller has the instructions (bitwise operations on floats would need
        // AVX-512DQ).
        unsafe {
            let bit = _mm512_set1_epi32(i32::MIN);
            let sign = _mm512_and_si512(bit, _mm512_castps_si512(sign.0));
            let magnitude = _mm512_andnot_si512(bit, _mm512_castps_si512(self.0));
            Self(_mm512_castsi512_ps(_mm512_or_si512(sign, magnitude)))
        }
    }
    #[inline(always)]
    unsafe fn zero_where_less(self, left: Self, right: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe {
            _mm512_mask_mov_ps(self.0, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(left.0, right.0), _mm512_setzero_ps())
        })
    }
    #[inline(always)]
    unsafe fn any_greater(self, other: Self) -> bool {
        // SAFETY: the caller has the instruction.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0) != 0 }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f64 {
        // SAFETY: the caller has the instruction.
        f64::from(unsafe { _mm512_reduce_add_ps(self.0) })
    }
}

// SAFETY: as above.
unsafe impl Vector32 for Avx512 {
    #[inline(always)]
    unsafe fn times_power_of_two(self, shifted: Self) -> Self {
        // SAFETY: the caller has the instruction, which scales by any power without overflow in
        // between.
        Self(unsafe { _mm512_scalef_ps(self.0, _mm512_sub_ps(shifted.0, _mm512_set1_ps(ROUNDER))) })
    }
}
