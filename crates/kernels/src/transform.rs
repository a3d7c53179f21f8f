//! Transforms of logits: the function that may stand between a linear layer and its softmax.
//!
//! One file holds everything that a transform is to this crate: its name, its formula and slope in
//! vector registers, its slope in f64, and the range of its number. The formula as tensor
//! operations, the reference of all tests, is in `crates/output/src/transform.rs`.

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::simd::Vector;

/// Function `f` of every logit, applied after bias and temperature and before the softmax.
///
/// | variant | `f(z)` | slope, from `t = f(z)` |
/// | --- | --- | --- |
/// | identity | `z` | 1 |
/// | soft cap `c` | `c tanh(z / c)` | `1 - (t / c)^2` |
/// | sigsoftmax | `z + log sigmoid(z)` | `2 - s`, `s = sigmoid(z) = 2 / (1 + sqrt(1 + 4 exp(-t)))` |
///
/// The last `s` solves `exp t = s^2 / (1 - s)` with nothing to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum LogitTransform {
    /// Logits stay as they are.
    #[default]
    Identity,
    /// Logits stay inside `(-cap, cap)`, smoothly (Gemma 2, 2024, arXiv 2408.00118).
    SoftCap(f64),
    /// Softmax of `f(z)` is sigsoftmax, `exp(z) sigmoid(z)` normalised (Kanai et al. 2018,
    /// "Sigsoftmax: Reanalysis of the Softmax Bottleneck", arXiv 1805.10829).
    Sigsoftmax,
}

impl LogitTransform {
    /// Transforms that have no number, and that a configuration can therefore give by name alone.
    pub const NAMED: &[Self] = &[Self::Identity, Self::Sigsoftmax];

    /// Name in configurations and messages; that of a transform with a number is the number's key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::SoftCap(_) => "soft_cap",
            Self::Sigsoftmax => "sigsoftmax",
        }
    }

    /// Transform without a number by its name.
    ///
    /// ```
    /// use lexmax_kernels::LogitTransform;
    /// assert_eq!(LogitTransform::named("sigsoftmax"), Some(LogitTransform::Sigsoftmax));
    /// assert_eq!(LogitTransform::named("soft_cap"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().copied().find(|transform| transform.name() == name)
    }

    /// Whether the slope is one everywhere, so that a gradient needs no logit.
    pub(crate) fn is_affine(self) -> bool {
        self == Self::Identity
    }

    /// Slope at a transformed logit, in f64.
    pub(crate) fn slope(self, transformed: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::SoftCap(cap) => {
                let share = transformed / cap;
                1.0 - share * share
            }
            Self::Sigsoftmax => 2.0 - 2.0 / (1.0 + (1.0 + 4.0 * (-transformed).exp()).sqrt()),
        }
    }

    /// Checks the number against what the sweeps compute with.
    pub(crate) fn check<T: Element>(self, op: &'static str) -> Result<()> {
        match self {
            Self::Identity | Self::Sigsoftmax => Ok(()),
            Self::SoftCap(cap) => check_divisor::<T>(op, self.name(), cap),
        }
    }

    /// Transform of one register of logits.
    ///
    /// # Safety
    /// The processor has the instructions of `V`.
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector<Scalar: Element>>(self, logit: V) -> V {
        let number = V::Scalar::from_f64;
        // SAFETY: the caller has the instructions.
        unsafe {
            match self {
                Self::Identity => logit,
                Self::SoftCap(cap) => {
                    logit.mul(V::splat(number(1.0 / cap))).tanh().mul(V::splat(number(cap)))
                }
                Self::Sigsoftmax => logit.add(logit.log_sigmoid()),
            }
        }
    }

    /// Product of gradients and slopes at transformed logits, one register of each.
    ///
    /// # Safety
    /// The processor has the instructions of `V`.
    #[inline(always)]
    pub(crate) unsafe fn times_slope<V: Vector<Scalar: Element>>(self, gradient: V, transformed: V) -> V {
        let number = V::Scalar::from_f64;
        // SAFETY: the caller has the instructions.
        unsafe {
            match self {
                Self::Identity => gradient,
                Self::SoftCap(cap) => {
                    let share = transformed.mul(V::splat(number(1.0 / cap)));
                    gradient.mul(V::splat(number(1.0)).sub(share.mul(share)))
                }
                Self::Sigsoftmax => {
                    let (one, two) = (V::splat(number(1.0)), V::splat(number(2.0)));
                    let power = V::splat(number(0.0)).sub(transformed).exp();
                    let sigmoid = two.div(power.mul_add(V::splat(number(4.0)), one).sqrt().add(one));
                    gradient.mul(two.sub(sigmoid))
                }
            }
        }
    }
}

/// Checks a number that logits are divided by, in the type that the sweeps compute with: the
/// smallest numbers of f64 are zero in f32, and their inverses infinite.
pub(crate) fn check_divisor<T: Element>(op: &'static str, name: &'static str, value: f64) -> Result<()> {
    let positive = |value: f64| value > 0.0 && value < f64::INFINITY;
    if [value, 1.0 / value].iter().all(|number| positive(T::from_f64(*number).to_f64())) {
        Ok(())
    } else {
        let expected = "a number above zero that is finite, and its inverse too";
        Err(KernelError::argument(op, name, value, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::portable::Array8;

    fn all() -> impl Iterator<Item = LogitTransform> {
        LogitTransform::NAMED.iter().copied().chain([LogitTransform::SoftCap(3.0)])
    }

    fn applied(transform: LogitTransform, logit: f64) -> f64 {
        let mut out = [0.0; 8];
        // SAFETY: arrays need no special instructions, and the buffer has as many numbers.
        unsafe { transform.apply(Array8::<f64>::splat(logit)).store(out.as_mut_ptr()) };
        out[0]
    }

    fn slope_in_registers<T: Element>(transform: LogitTransform, transformed: f64) -> f64
    where
        Array8<T>: Vector<Scalar = T>,
    {
        let mut out = [T::default(); 8];
        let (one, at) = (T::from_f64(1.0), T::from_f64(transformed));
        // SAFETY: arrays need no special instructions, and the buffer has as many numbers.
        unsafe {
            transform.times_slope(Array8::<T>::splat(one), Array8::splat(at)).store(out.as_mut_ptr());
        }
        out[0].to_f64()
    }

    #[test]
    fn slope_in_registers_is_the_slope_in_f64() {
        for transform in all() {
            for logit in (-60..=60).map(|at| f64::from(at) * 0.37) {
                let transformed = f64::from(applied(transform, logit) as f32);
                let exact = transform.slope(transformed);
                let (wide, narrow) = (
                    slope_in_registers::<f64>(transform, transformed),
                    slope_in_registers::<f32>(transform, transformed),
                );
                assert!((wide - exact).abs() < 1e-14, "{transform:?} at {logit}: {wide}, {exact}");
                assert!((narrow - exact).abs() < 1e-6, "{transform:?} at {logit}: {narrow}, {exact}");
            }
        }
    }

    #[test]
    fn slope_is_the_derivative_of_the_transform() {
        for transform in all() {
            for logit in (-40..=40).map(|at| f64::from(at) * 0.31) {
                let step = 1e-5;
                let numeric =
                    (applied(transform, logit + step) - applied(transform, logit - step)) / (2.0 * step);
                let exact = transform.slope(applied(transform, logit));
                assert!((numeric - exact).abs() < 1e-8, "{transform:?} at {logit}: {numeric}, {exact}");
            }
        }
    }

    #[test]
    fn names_lead_back_to_their_transforms() {
        for transform in LogitTransform::NAMED {
            assert_eq!(LogitTransform::named(transform.name()), Some(*transform));
        }
        assert_eq!(LogitTransform::named("sigmoid"), None);
    }
}
