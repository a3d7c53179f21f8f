//! Two-way choices: every class of a tile is an inner node of a tree, and both its branches count.

use super::{ROW_MULTIPLE, Shape, Transform};
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Nodes whose terms are summed in `T` before they are added to the rest.
const PARTIAL_SUM: usize = 64;

/// Sweep over one tile that holds raw logits. With `x` the logit of a node and `a`, `b` the weights
/// of its branches, each row's sum gets `a log sigmoid(x) + b log sigmoid(-x)`, and the tile
/// becomes `factor (a sigmoid(-x) - b sigmoid(x))`.
#[derive(Debug)]
pub struct Choices<'a, T> {
    pub(crate) tile: &'a mut [T],
    pub(crate) shape: Shape,
    /// Affine transform without an offset.
    pub(crate) transform: Transform<'a, T>,
    /// Weights `a` and `b` of the branches, `[classes]` each.
    pub(crate) weights: [&'a [T]; 2],
    /// Upstream factor of each row, `[padded]`, zero for padding.
    pub(crate) factor: &'a [T],
    /// Sum of each row, `[rows]`; that over this tile's nodes is added.
    pub(crate) sums: &'a mut [f64],
    /// Workspace, `[padded]`.
    pub(crate) partial: &'a mut [T],
    /// Gradient of the bias, `[classes]`; sums over this tile's rows are added.
    pub(crate) bias: Option<&'a mut [f64]>,
}

impl<T: Element> Kernel<T> for Choices<'_, T> {
    type Out = ();

    fn check(&self) {
        let Shape { rows, classes } = self.shape;
        let padded = self.shape.padded();
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len());
        assert!(self.factor.len() >= padded && self.partial.len() >= padded && self.sums.len() >= rows);
        assert!(self.weights.iter().all(|weights| weights.len() == classes));
        assert!(self.bias.as_ref().is_none_or(|bias| bias.len() == classes));
        self.transform.check(classes);
        assert!(self.transform.is_affine() && self.transform.offset.is_none());
    }

    // The sweep, a node at a time.
    //
    // With `l = log(1 + exp(-|x|))` the logarithms are `min(x, 0) - l` and `-max(x, 0) - l`: no
    // digits are lost at either end.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let (rows, padded, stride) = (self.shape.rows, self.shape.padded(), self.shape.stride());
        let number = T::from_f64;
        self.partial[..padded].fill(number(0.0));
        for class in 0..self.shape.classes {
            let [a, b] = self.weights.map(|weights| weights[class]);
            // SAFETY: `padded <= stride`, rows advance by `LANES` which divides `padded`, and the
            // checks hold, so every register lies in its slice.
            let sum = unsafe {
                let row_of = self.tile.as_mut_ptr().add(class * stride);
                let (zero, one) = (V::splat(number(0.0)), V::splat(number(1.0)));
                let (a, b, both) = (V::splat(a), V::splat(b), V::splat(a + b));
                let mut sum = zero;
                for row in (0..padded).step_by(V::LANES) {
                    let x = self.transform.apply(V::load(row_of.add(row)), class);
                    let below = zero.sub(x.abs());
                    // -l, the logarithm of the more likely branch.
                    let likely = x.abs().log_sigmoid();
                    let term = both.mul(likely).add(a.mul(x.min(zero))).sub(b.mul(x.max(zero)));
                    let partial = self.partial.as_mut_ptr().add(row);
                    V::load(partial).add(term).store(partial);

                    let exp = below.exp();
                    let larger = one.div(one.add(exp));
                    let smaller = exp.mul(larger);
                    // Those of rows where x is not below zero; what is left is of the others.
                    let larger_right = larger.zero_where_less(x, zero);
                    let smaller_right = smaller.zero_where_less(x, zero);
                    let sigmoid = larger_right.add(smaller.sub(smaller_right));
                    let other = smaller_right.add(larger.sub(larger_right));
                    let slope = a.mul(other).sub(b.mul(sigmoid));
                    let result = slope.mul(V::load(self.factor.as_ptr().add(row)));
                    result.store(row_of.add(row));
                    sum = sum.add(result);
                }
                sum.sum()
            };
            if let Some(bias) = &mut self.bias {
                bias[class] += sum;
            }
            if (class + 1).is_multiple_of(PARTIAL_SUM) || class + 1 == self.shape.classes {
                for (sum, partial) in self.sums[..rows].iter_mut().zip(&mut self.partial[..rows]) {
                    *sum += partial.to_f64();
                    *partial = number(0.0);
                }
            }
        }
    }
}
