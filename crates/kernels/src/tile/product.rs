//! The three matrix products of a tile, by the `gemm` crate on the calling thread.

use super::Shape;
use crate::element::Element;

/// A matrix in a slice: element `(i, j)` is at `i * row + j * column`.
pub(crate) struct Matrix<'a, T> {
    pub data: &'a [T],
    pub row: usize,
    pub column: usize,
}

/// `out (+)= left right`, `out` row-major `[m, n]` with distance `stride` between rows; `left [m, k]`, `right [k, n]`.
pub(crate) fn product<T: Element>(
    out: &mut [T],
    stride: usize,
    [m, n, k]: [usize; 3],
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    accumulate: bool,
) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!(out.len() >= (m - 1) * stride + n && stride >= n);
    assert!(left.data.len() > (m - 1) * left.row + (k - 1) * left.column);
    assert!(right.data.len() > (k - 1) * right.row + (n - 1) * right.column);
    let one = T::from_f64(1.0);
    // SAFETY: the largest index of each matrix is inside its slice (checked above; no slice is longer than isize::MAX), `out`
    // is borrowed mutably so nothing overlaps it, and rows of `out` do not overlap each other.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Raw logits of a tile, `Z = W H^T`: weight `[classes, D]`, hidden `[rows, D]`.
pub(crate) fn logits<T: Element>(tile: &mut [T], shape: Shape, weight: &[T], hidden: &[T], size: usize) {
    let left = Matrix { data: weight, row: size, column: 1 };
    let right = Matrix { data: hidden, row: 1, column: size };
    product(tile, shape.stride(), [shape.classes, shape.rows, size], left, right, false);
}

/// Gradient of hidden states `[rows, D]`, `out (+)= G^T W`.
pub(crate) fn hidden_gradient<T: Element>(
    out: &mut [T],
    tile: &[T],
    shape: Shape,
    weight: &[T],
    size: usize,
    accumulate: bool,
) {
    let left = Matrix { data: tile, row: 1, column: shape.stride() };
    let right = Matrix { data: weight, row: size, column: 1 };
    product(out, size, [shape.rows, size, shape.classes], left, right, accumulate);
}

/// Gradient of the weight `[classes, D]`, `out (+)= G H`.
pub(crate) fn weight_gradient<T: Element>(
    out: &mut [T],
    tile: &[T],
    shape: Shape,
    hidden: &[T],
    size: usize,
    accumulate: bool,
) {
    let left = Matrix { data: tile, row: shape.stride(), column: 1 };
    let right = Matrix { data: hidden, row: size, column: 1 };
    product(out, size, [shape.classes, size, shape.rows], left, right, accumulate);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against three loops, also where the tile's stride leaves gaps.
        #[test]
        fn products_equal_three_loops(rows in 1..40_usize, classes in 1..40_usize, size in 1..40_usize, accumulate: bool) {
            let shape = Shape { rows, classes };
            let number = |i: usize| ((i * 7919 + 13) % 17) as f64 - 8.0;
            let hidden: Vec<f64> = (0..rows * size).map(number).collect();
            let weight: Vec<f64> = (0..classes * size).map(|i| number(i + 5)).collect();
            let mut tile = vec![0.5; shape.len()];
            logits(&mut tile, shape, &weight, &hidden, size);
            let at = |class: usize, row: usize| class * shape.stride() + row;
            let start = if accumulate { 2.0 } else { 0.0 };
            let (mut d_hidden, mut d_weight) = (vec![2.0; rows * size], vec![2.0; classes * size]);
            hidden_gradient(&mut d_hidden, &tile, shape, &weight, size, accumulate);
            weight_gradient(&mut d_weight, &tile, shape, &hidden, size, accumulate);
            for class in 0..classes {
                for row in 0..rows {
                    let dot: f64 = (0..size).map(|d| hidden[row * size + d] * weight[class * size + d]).sum();
                    prop_assert_eq!(tile[at(class, row)], dot);
                }
                for gap in rows..shape.stride() {
                    prop_assert_eq!(tile[at(class, gap)], 0.5);
                }
                for d in 0..size {
                    let sum: f64 = (0..rows).map(|row| tile[at(class, row)] * hidden[row * size + d]).sum();
                    prop_assert_eq!(d_weight[class * size + d], start + sum);
                }
            }
            for row in 0..rows {
                for d in 0..size {
                    let sum: f64 = (0..classes).map(|class| tile[at(class, row)] * weight[class * size + d]).sum();
                    prop_assert_eq!(d_hidden[row * size + d], start + sum);
                }
            }
        }
    }
}
