//! The three matrix products of a tile, on the calling thread.

use super::Shape;
use crate::element::Element;
use crate::product::{Matrix, Product, ProductLibrary};

/// Memory that the `gemm` crate takes on a thread beside the matrices of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Bytes of a buffer that the crate makes at a thread's first product and keeps: one
    /// second-level cache.
    pub slab: usize,
    /// A packed right operand has space for so many columns, however few there are.
    pub least_columns: usize,
}

impl Packing {
    /// One operand, the right one of [`product`], is packed in strips as wide as a multiple of this
    /// at most: four registers of AVX-512, the widest kernel of the crate.
    const STRIP: usize = 64;
    /// The other one is packed in strips of at most so many.
    const NARROW_STRIP: usize = 8;
    /// Columns of the narrow strips that are packed at a time where no third-level cache is known.
    const COLUMNS_WITHOUT_THIRD_CACHE: usize = 128 * Self::NARROW_STRIP;

    /// The needs of products on this processor, by the caches that the crate finds.
    pub fn of_this_processor() -> Self {
        let [_, second, third] = *gemm_common::cache::CACHE_INFO;
        let least_columns = if third.cache_bytes == 0 { Self::COLUMNS_WITHOUT_THIRD_CACHE } else { 0 };
        Self { slab: second.cache_bytes, least_columns }
    }

    /// Upper bound of the bytes that one product takes beside the slab, for elements of so many
    /// bytes: both operands packed whole, and a flag for each strip of the slab. The first-level
    /// cache decides only into how many parts `k` is cut, the third how many columns are packed at
    /// a time; neither makes more of them.
    pub fn bytes(&self, [m, n, k]: [usize; 3], bytes: usize) -> usize {
        // A result of one column is not transposed: then the left operand has the wide strips.
        let strip = if n == 1 { Self::STRIP } else { Self::NARROW_STRIP };
        let operands = (n.next_multiple_of(Self::STRIP) + m.max(self.least_columns) + strip) * k * bytes;
        // Strips are at least two numbers wide; products of depth one and two pack nothing.
        let flags = self.slab / (2 * bytes * k.clamp(3, 512));
        let alignment = 4 * 128;
        operands + flags + alignment
    }
}

/// Raw logits of a tile, `Z = W H^T`: weight `[classes, D]`, hidden `[rows, D]`.
pub(crate) fn logits<T: Element>(
    by: &ProductLibrary,
    tile: &mut [T],
    shape: Shape,
    weight: &[T],
    hidden: &[T],
    size: usize,
) {
    let (left, right) = (Matrix::rows(weight, size), Matrix::columns(hidden, size));
    let sizes = [shape.classes, shape.rows, size];
    by.multiply(Product::new(tile, shape.stride(), sizes, left, right, false));
}

/// Gradient of hidden states `[rows, D]`, `out (+)= G^T W`.
pub(crate) fn hidden_gradient<T: Element>(
    by: &ProductLibrary,
    out: &mut [T],
    (tile, shape): (&[T], Shape),
    weight: &[T],
    size: usize,
    accumulate: bool,
) {
    let (left, right) = (Matrix::columns(tile, shape.stride()), Matrix::rows(weight, size));
    by.multiply(Product::new(out, size, [shape.rows, size, shape.classes], left, right, accumulate));
}

/// Gradient of the weight `[classes, D]`, `out (+)= G H`.
pub(crate) fn weight_gradient<T: Element>(
    by: &ProductLibrary,
    out: &mut [T],
    (tile, shape): (&[T], Shape),
    hidden: &[T],
    size: usize,
    accumulate: bool,
) {
    let (left, right) = (Matrix::rows(tile, shape.stride()), Matrix::rows(hidden, size));
    by.multiply(Product::new(out, size, [shape.classes, size, shape.rows], left, right, accumulate));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packing_bytes_grow_with_operands_and_slab() {
        let packing = |slab, least_columns| Packing { slab, least_columns };
        // Operands of 3 + 8 and 128 columns of 100 f32, the flags, and alignment.
        assert_eq!(packing(1 << 20, 0).bytes([3, 65, 100], 4), 139 * 400 + (1 << 20) / 800 + 512);
        assert!(packing(2 << 20, 0).bytes([3, 65, 100], 4) > packing(1 << 20, 0).bytes([3, 65, 100], 4));
        assert_eq!(packing(0, 1024).bytes([3, 1, 100], 8), (64 + 1024 + 64) * 800 + 512);
        assert!(Packing::of_this_processor().slab > 0);
    }

    proptest! {
        /// Against three loops, also where the tile's stride leaves gaps.
        #[test]
        fn products_equal_three_loops(rows in 1..40_usize, classes in 1..40_usize, size in 1..40_usize, accumulate: bool) {
            let shape = Shape { rows, classes };
            let number = |i: usize| ((i * 7919 + 13) % 17) as f64 - 8.0;
            let hidden: Vec<f64> = (0..rows * size).map(number).collect();
            let weight: Vec<f64> = (0..classes * size).map(|i| number(i + 5)).collect();
            let mut tile = vec![0.5; shape.len()];
            let gemm = &ProductLibrary::GEMM;
            logits(gemm, &mut tile, shape, &weight, &hidden, size);
            let at = |class: usize, row: usize| class * shape.stride() + row;
            let start = if accumulate { 2.0 } else { 0.0 };
            let (mut d_hidden, mut d_weight) = (vec![2.0; rows * size], vec![2.0; classes * size]);
            hidden_gradient(gemm, &mut d_hidden, (&tile, shape), &weight, size, accumulate);
            weight_gradient(gemm, &mut d_weight, (&tile, shape), &hidden, size, accumulate);
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
