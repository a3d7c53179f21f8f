//! One sweep over a tile for the objectives that are sums of logistic losses: losses and the
//! gradient of the logits, in place.

use crate::element::Element;
use crate::simd::{Kernel, Vector};
use crate::tile::{ROW_MULTIPLE, Shape};

/// Weight of each logistic loss.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a, T> {
    /// One weight for each class, `[classes]`.
    OfClass(&'a [T]),
    /// One weight for each entry, laid out like the tile.
    OfCell(&'a [T]),
}

/// Sweep of logistic losses over one tile. With `u = tile + shift - below`:
/// `loss_i += sum_c w_c log(1 + exp(u_ci))`, and the tile becomes its gradient
/// `factor_i w_c s(u_ci)`, where `s` is the logistic function. A very low element of the tile adds
/// nothing and becomes zero.
#[derive(Debug)]
pub struct Logistic<'a, T> {
    pub(crate) tile: &'a mut [T],
    pub(crate) shape: Shape,
    /// Term added to the logits of each class, `[classes]`.
    pub(crate) shift: Option<&'a [T]>,
    /// Term subtracted from the logits of each row, `[padded]`.
    pub(crate) below: Option<&'a [T]>,
    pub(crate) weights: Weights<'a, T>,
    /// Upstream factor of each row, `[padded]`; zero for padding.
    pub(crate) factor: &'a [T],
    /// Losses, `[rows]`; this tile's are added.
    pub(crate) loss: &'a mut [f64],
    /// Sums of each row's gradients, `[rows]`; this tile's are added.
    pub(crate) total: &'a mut [f64],
    /// Gradient of the bias, `[classes]`; sums over this tile's rows are added.
    pub(crate) bias: Option<&'a mut [f64]>,
    /// Workspace, `[2 padded]`.
    pub(crate) partial: &'a mut [T],
}

/// Classes that are summed in the element type before they are added in f64.
const PARTIAL_SUM: usize = 64;

impl<T: Element> Kernel<T> for Logistic<'_, T> {
    type Out = ();

    fn check(&self) {
        let (rows, padded, classes) = (self.shape.rows, self.shape.padded(), self.shape.classes);
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len());
        assert!(self.shift.is_none_or(|shift| shift.len() == classes));
        assert!(self.below.is_none_or(|below| below.len() >= padded) && self.factor.len() >= padded);
        assert!(match self.weights {
            Weights::OfClass(weights) => weights.len() == classes,
            Weights::OfCell(weights) => weights.len() >= self.shape.len(),
        });
        assert!(self.loss.len() == rows && self.total.len() == rows && self.partial.len() >= 2 * padded);
        assert!(self.bias.as_ref().is_none_or(|bias| bias.len() == classes));
    }

    // The sweep, class by class, so that the bias's sums are made on the way.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let (padded, stride, classes) = (self.shape.padded(), self.shape.stride(), self.shape.classes);
        let zero = T::default();
        for first in (0..classes).step_by(PARTIAL_SUM) {
            self.partial[..2 * padded].fill(zero);
            let partial = self.partial.as_mut_ptr();
            for class in first..classes.min(first + PARTIAL_SUM) {
                // SAFETY: `padded <= stride`, rows advance by `LANES` which divides `padded`, and
                // the checks hold, so every register lies in its slice.
                unsafe {
                    let cells = class * stride;
                    let shift = self.shift.map(|shift| V::splat(*shift.get_unchecked(class)));
                    let mut sum = V::splat(zero);
                    for row in (0..padded).step_by(V::LANES) {
                        let cell = self.tile.as_mut_ptr().add(cells + row);
                        let mut logit = V::load(cell);
                        if let Some(shift) = shift {
                            logit = logit.add(shift);
                        }
                        if let Some(below) = self.below {
                            logit = logit.sub(V::load(below.as_ptr().add(row)));
                        }
                        let weight = match self.weights {
                            Weights::OfClass(weights) => V::splat(*weights.get_unchecked(class)),
                            Weights::OfCell(weights) => V::load(weights.as_ptr().add(cells + row)),
                        };
                        let (loss, share) = soft_plus(logit);
                        let gradient = share.mul(weight).mul(V::load(self.factor.as_ptr().add(row)));
                        gradient.store(cell);
                        sum = sum.add(gradient);
                        let (losses, totals) = (partial.add(row), partial.add(padded + row));
                        loss.mul_add(weight, V::load(losses)).store(losses);
                        gradient.add(V::load(totals)).store(totals);
                    }
                    if let Some(bias) = &mut self.bias {
                        *bias.get_unchecked_mut(class) += sum.sum();
                    }
                }
            }
            let (losses, totals) = self.partial.split_at(padded);
            for (row, (loss, total)) in self.loss.iter_mut().zip(self.total.iter_mut()).enumerate() {
                *loss += losses[row].to_f64();
                *total += totals[row].to_f64();
            }
        }
    }
}

/// `log(1 + exp(x))` and its derivative, from `e = exp(-|x|)`: nothing overflows, and no digits are
/// lost at either end.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn soft_plus<V: Vector<Scalar: Element>>(x: V) -> (V, V) {
    // SAFETY: as the caller.
    unsafe {
        let zero = V::splat(V::Scalar::default());
        let one = V::splat(V::Scalar::from_f64(1.0));
        let e = zero.sub(x.abs()).exp();
        let of_positive = one.div(one.add(e));
        let of_negative = e.mul(of_positive);
        let derivative =
            of_positive.zero_where_less(x, zero).add(of_negative.sub(of_negative.zero_where_less(x, zero)));
        (x.max(zero).add(log_1p(e)), derivative)
    }
}

/// `log(1 + e)` for `0 <= e <= 1`: `2 (s + s^3 / 3 + s^5 / 5 + ...)` with `s = e / (2 + e) <= 1/3`.
/// The terms left out are below half a unit in the last place.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn log_1p<V: Vector<Scalar: Element>>(e: V) -> V {
    let terms = if size_of::<V::Scalar>() == size_of::<f32>() { 8 } else { 17 };
    let number = V::Scalar::from_f64;
    // SAFETY: as the caller.
    unsafe {
        let s = e.div(e.add(V::splat(number(2.0))));
        let square = s.mul(s);
        let mut series = V::splat(number(2.0 / f64::from(2 * terms - 1)));
        for term in (1..terms).rev() {
            series = series.mul_add(square, V::splat(number(2.0 / f64::from(2 * term - 1))));
        }
        series.mul(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, dispatch};

    /// Losses and gradients of single numbers.
    fn of<T: Element>(level: Level, numbers: &[f64]) -> Vec<(f64, f64)> {
        let shape = Shape { rows: numbers.len(), classes: 1 };
        let mut tile = vec![T::default(); shape.len()];
        for (cell, x) in tile.iter_mut().zip(numbers) {
            *cell = T::from_f64(*x);
        }
        let (mut loss, mut total) = (vec![0.0; numbers.len()], vec![0.0; numbers.len()]);
        let one = T::from_f64(1.0);
        dispatch(
            level,
            Logistic {
                tile: &mut tile,
                shape,
                shift: None,
                below: None,
                weights: Weights::OfClass(&[one]),
                factor: &vec![one; shape.padded()],
                loss: &mut loss,
                total: &mut total,
                bias: None,
                partial: &mut vec![T::default(); 2 * shape.padded()],
            },
        );
        loss.into_iter().zip(tile.into_iter().map(T::to_f64)).collect()
    }

    fn check<T: Element>(level: Level, allowed: f64, lowest: f64) {
        let numbers: Vec<f64> = (-3000..3000).map(|i| f64::from(i) * 0.029).collect();
        for (x, (loss, gradient)) in numbers.iter().zip(of::<T>(level, &numbers)) {
            let x = T::from_f64(*x).to_f64();
            let exact = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
            assert!(
                (loss - exact).abs() <= allowed * exact,
                "{level:?}: softplus({x}) = {loss}, not {exact}"
            );
            let exact = 1.0 / (1.0 + (-x).exp());
            assert!(
                (gradient - exact).abs() <= allowed * exact,
                "{level:?}: s({x}) = {gradient}, not {exact}"
            );
        }
        let ends = of::<T>(level, &[lowest, -1e30, 1e30, 0.0]);
        assert_eq!(&ends[..2], &[(0.0, 0.0); 2], "a cell that is left out adds nothing");
        assert_eq!(ends[2].1, 1.0);
        assert_eq!(ends[3].1, 0.5);
    }

    #[test]
    fn losses_and_gradients_keep_their_relative_accuracy() {
        for level in Level::ALL {
            check::<f32>(level, 6e-7, f64::from(f32::MIN) / 2.0);
        }
        check::<f64>(Level::best(), 1e-15, f64::MIN / 2.0);
    }
}
