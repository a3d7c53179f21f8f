//! Operations of the sweeps on one vector register.

/// A register of [`Vector::LANES`] elements.
///
/// # Safety
/// An implementation may use instructions that not every processor has. Whoever calls any of these
/// methods must know that the processor has them ([`super::Level::is_available`]) and, for
/// [`Vector::load`] and [`Vector::store`], that `LANES` elements are readable or writable at the
/// pointer; alignment is not asked for.
pub unsafe trait Vector: Copy {
    /// Element type of a lane.
    type Scalar: Copy;
    /// Elements in a register.
    const LANES: usize;

    unsafe fn splat(value: Self::Scalar) -> Self;
    unsafe fn load(from: *const Self::Scalar) -> Self;
    unsafe fn store(self, to: *mut Self::Scalar);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// Fused multiply-add, `self * factor + addend`, rounded once where the processor can.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger; where `other` is not a number, `other`.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller; where `other` is not a number, `other`.
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    unsafe fn with_sign_of(self, sign: Self) -> Self;
    /// `self` where `left >= right` or one of them is not a number, zero elsewhere.
    unsafe fn zero_where_less(self, left: Self, right: Self) -> Self;
    /// Whether any lane of `self` is larger than that of `other`.
    unsafe fn any_greater(self, other: Self) -> bool;
    /// The sum of the lanes.
    unsafe fn sum(self) -> f64;
    /// Exponential; see [`super::math`].
    unsafe fn exp(self) -> Self;
    /// Hyperbolic tangent; see [`super::math`].
    unsafe fn tanh(self) -> Self;
    /// Logarithm of the logistic function; see [`super::math`].
    unsafe fn log_sigmoid(self) -> Self;
}

/// A register of f32, with what `exp` needs of the format.
///
/// # Safety
/// As [`Vector`].
pub(crate) unsafe trait Vector32: Vector<Scalar = f32> {
    /// `self * 2^n` for the integer `n` in `-126..=128` that is hidden in the low bits of
    /// `shifted = n + 1.5 * 2^23`.
    unsafe fn times_power_of_two(self, shifted: Self) -> Self;
}
