//! `exp`, `tanh` and `log sigmoid` of f32 vectors.
//!
//! `exp(x) = 2^n exp(r)` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2`; `exp(r) - 1` is its
//! Taylor polynomial of degree 7, whose remainder there is below 0.05 units in the last place.
//! `ln 2` is taken in two parts, the first short enough that its product with `n` is exact.
//! Measured over two million numbers of the whole range (tests below): at most 2 units in the last
//! place. Results below the smallest normal number are zero: a probability that small changes no
//! sum, and subnormal numbers slow down the matrix products that follow.

use super::vector::Vector32;

/// `1.5 * 2^23`: adding it leaves the nearest integer in the low bits of the mantissa.
pub(crate) const ROUNDER: f32 = 12_582_912.0;
/// `exp` of this and all above is infinite.
const TOO_LARGE: f32 = 89.0;
/// `exp` of anything below is zero: the logarithm of the smallest normal number, rounded up.
pub(crate) const TOO_SMALL: f32 = -87.336_54;
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
/// `1/k!` for `k` from 7 down to 2.
const TAYLOR: [f32; 6] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];

/// `(exp(r) - 1, n + ROUNDER)` for `x = n ln 2 + r`.
///
/// # Safety
/// As the trait.
#[inline(always)]
unsafe fn reduced<V: Vector32>(x: V) -> (V, V) {
    // SAFETY: the caller has the instructions of `V`.
    unsafe {
        let shifted = x.mul_add(V::splat(std::f32::consts::LOG2_E), V::splat(ROUNDER));
        let n = shifted.sub(V::splat(ROUNDER));
        let r = n.mul_add(V::splat(-LN_2_LOW), n.mul_add(V::splat(-LN_2_HIGH), x));
        let mut polynomial = V::splat(TAYLOR[0]);
        for coefficient in &TAYLOR[1..] {
            polynomial = polynomial.mul_add(r, V::splat(*coefficient));
        }
        (r.mul(r).mul_add(polynomial, r), shifted)
    }
}

/// `exp(x)` for any `x`.
///
/// # Safety
/// As the trait.
#[inline(always)]
pub(crate) unsafe fn exp<V: Vector32>(x: V) -> V {
    // SAFETY: the caller has the instructions of `V`. `n` is within -126..=128, since `x` is
    // clamped.
    unsafe {
        let clamped = V::splat(TOO_SMALL).max(V::splat(TOO_LARGE).min(x));
        let (less_one, shifted) = reduced(clamped);
        let result = less_one.add(V::splat(1.0)).times_power_of_two(shifted);
        result.zero_where_less(x, V::splat(TOO_SMALL))
    }
}

/// `tanh(x) = -e / (e + 2)` of `-|x|` with `e = exp(-2|x|) - 1`, which keeps its relative accuracy
/// near zero.
///
/// # Safety
/// As the trait.
#[inline(always)]
pub(crate) unsafe fn tanh<V: Vector32>(x: V) -> V {
    // SAFETY: the caller has the instructions of `V`. Beyond 10 the result is 1 in f32, so the
    // argument is clamped.
    unsafe {
        let twice = x.abs().mul(V::splat(-2.0));
        let (less_one, shifted) = reduced(V::splat(-20.0).max(twice));
        let one = V::splat(1.0);
        let power = one.times_power_of_two(shifted);
        let e = less_one.mul_add(power, power.sub(one));
        V::splat(0.0).sub(e).div(e.add(V::splat(2.0))).with_sign_of(x)
    }
}

/// `1/(2k + 1)` for `k` from 7 down to 1: the series of `atanh(s) / s - 1` in `s^2`.
const ATANH: [f32; 7] = [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0];

/// `log sigmoid(x) = min(x, 0) - log(1 + e)` with `e = exp(-|x|)`, which is in `0..=1`. There
/// `log(1 + e) = 2 atanh(s)` with `s = e / (2 + e) <= 1/3`, whose series after eight terms leaves
/// less than 0.1 units in the last place; nothing cancels, so the relative accuracy holds over the
/// whole range.
///
/// # Safety
/// As the trait.
#[inline(always)]
pub(crate) unsafe fn log_sigmoid<V: Vector32>(x: V) -> V {
    // SAFETY: the caller has the instructions of `V`.
    unsafe {
        let e = exp(V::splat(0.0).sub(x.abs()));
        let s = e.div(e.add(V::splat(2.0)));
        let square = s.mul(s);
        let mut series = V::splat(ATANH[0]);
        for coefficient in &ATANH[1..] {
            series = series.mul_add(square, V::splat(*coefficient));
        }
        let twice = s.add(s);
        V::splat(0.0).min(x).sub(series.mul(square).mul_add(twice, twice))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::simd::map::{Exp, Function, map};
    use crate::simd::{Level, Vector};

    struct Tanh;

    impl Function for Tanh {
        #[inline(always)]
        unsafe fn of<V: Vector<Scalar = f32>>(x: V) -> V {
            // SAFETY: as the caller.
            unsafe { x.tanh() }
        }
    }

    struct LogSigmoid;

    impl Function for LogSigmoid {
        #[inline(always)]
        unsafe fn of<V: Vector<Scalar = f32>>(x: V) -> V {
            // SAFETY: as the caller.
            unsafe { x.log_sigmoid() }
        }
    }

    /// Distance in units in the last place of the exact value.
    fn ulps(got: f32, exact: f64) -> f64 {
        let spacing = f64::from((exact as f32).abs().next_up()) - f64::from((exact as f32).abs());
        (f64::from(got) - exact).abs() / spacing
    }

    fn on_each_level(check: impl Fn(Level)) {
        for level in Level::ALL {
            if level.is_available() {
                check(level);
            } else {
                eprintln!("skipped: this processor has no {level:?}");
            }
        }
    }

    #[test]
    fn exp_is_within_two_ulps_over_its_whole_range() {
        on_each_level(|level| {
            let mut worst = (0.0, 0.0);
            // Negative numbers in bit order from -0 to below the underflow, then the positive ones
            // to overflow.
            let ranges = [(0x8000_0000_u32, (-87.336_5_f32).to_bits()), (0, 88.722_8_f32.to_bits())];
            for (from, to) in ranges {
                for chunk in (from..to).step_by(7 * 16 * 8).collect::<Vec<_>>().chunks(4096) {
                    let inputs: Vec<f32> = chunk.iter().map(|bits| f32::from_bits(*bits)).collect();
                    let mut outputs = inputs.clone();
                    map::<Exp>(level, &mut outputs);
                    for (x, y) in inputs.iter().zip(&outputs) {
                        let error = ulps(*y, f64::from(*x).exp());
                        if error > worst.0 {
                            worst = (error, *x);
                        }
                    }
                }
            }
            assert!(worst.0 <= 2.0, "{level:?}: {} ulp at {}", worst.0, worst.1);
            eprintln!("{level:?}: exp within {:.3} ulp (at {})", worst.0, worst.1);
        });
    }

    #[test]
    fn exp_of_the_ends_and_of_no_number() {
        on_each_level(|level| {
            let mut values = [0.0, -0.0, f32::NEG_INFINITY, -88.0, -1e30, 89.0, f32::INFINITY, f32::NAN, 1.0];
            map::<Exp>(level, &mut values);
            assert_eq!(&values[..7], &[1.0, 1.0, 0.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY]);
            assert!(values[7].is_nan());
            assert!(ulps(values[8], 1_f64.exp()) <= 2.0);
        });
    }

    #[test]
    fn tanh_keeps_its_relative_accuracy() {
        on_each_level(|level| {
            let inputs: Vec<f32> = (0..200_000)
                .map(|i| 1.000_12_f32.powi(i - 180_000) * if i % 2 == 0 { 1.0 } else { -1.0 })
                .collect();
            let mut outputs = inputs.clone();
            map::<Tanh>(level, &mut outputs);
            let worst =
                inputs.iter().zip(&outputs).map(|(x, y)| ulps(*y, f64::from(*x).tanh())).fold(0.0, f64::max);
            assert!(worst <= 4.0, "{level:?}: {worst} ulp");
            let mut ends = [f32::NEG_INFINITY, f32::INFINITY, 0.0, f32::NAN];
            map::<Tanh>(level, &mut ends);
            assert_eq!(&ends[..3], &[-1.0, 1.0, 0.0]);
            assert!(ends[3].is_nan());
        });
    }

    #[test]
    fn log_sigmoid_keeps_its_relative_accuracy() {
        on_each_level(|level| {
            // Both signs, from near zero to where the exponential underflows (at 1.1e-8 times
            // 1.000115^i).
            let inputs: Vec<f32> = (0..400_000)
                .map(|i| 1e-8 * 1.000_115_f32.powi(i / 2) * if i % 2 == 0 { 1.0 } else { -1.0 })
                .filter(|x| *x < 87.3)
                .collect();
            assert!(inputs.iter().any(|x| *x > 80.0) && inputs.iter().any(|x| *x < -80.0));
            let mut outputs = inputs.clone();
            map::<LogSigmoid>(level, &mut outputs);
            let exact = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
            let worst =
                inputs.iter().zip(&outputs).map(|(x, y)| ulps(*y, exact(f64::from(*x)))).fold(0.0, f64::max);
            assert!(worst <= 4.0, "{level:?}: {worst} ulp");
            eprintln!("{level:?}: log sigmoid within {worst:.3} ulp");
            let mut ends = [f32::NEG_INFINITY, -1e30, f32::INFINITY, 1e30, f32::NAN];
            map::<LogSigmoid>(level, &mut ends);
            assert_eq!(&ends[..4], &[f32::NEG_INFINITY, -1e30, 0.0, 0.0]);
            assert!(ends[4].is_nan());
        });
    }
}
