//! Matrix products of the kernels, by a library that the caller may choose.
//!
//! The sweeps spend nine tenths of their time in products of a tile's shapes, and which library is
//! fastest at these depends on the processor. So the kernels call them through one narrow hook,
//! [`ProductLibrary`]: on one thread at a time, over slices, with strides. The crate `gemm` is
//! always there; another one is a name and two functions.

use crate::bf16;
pub use crate::bf16::has_bf16_instructions;
use crate::element::Element;

/// Precision of the operands of matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The precision of the elements, f32 or f64.
    #[default]
    Full,
    /// Operands rounded to bf16, sums in f32 ([`ProductLibrary::BF16`]).
    Bf16,
}

impl Precision {
    /// The library of this precision: the one given, but for bf16.
    pub fn library(self, full: ProductLibrary) -> ProductLibrary {
        match self {
            Self::Full => full,
            Self::Bf16 => ProductLibrary::BF16,
        }
    }
}

/// Matrix in a slice, whose rows are contiguous, or its columns.
#[derive(Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    distance: usize,
    by_rows: bool,
}

impl<T> Clone for Matrix<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Matrix<'_, T> {}

impl<'a, T> Matrix<'a, T> {
    /// Matrix whose rows are contiguous, so far apart.
    pub(crate) fn rows(data: &'a [T], distance: usize) -> Self {
        Self { data, distance, by_rows: true }
    }

    /// Matrix whose columns are contiguous, so far apart: rows, transposed.
    pub(crate) fn columns(data: &'a [T], distance: usize) -> Self {
        Self { data, distance, by_rows: false }
    }

    /// The elements.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Whether its rows are contiguous; if not, its columns are.
    pub fn has_contiguous_rows(&self) -> bool {
        self.by_rows
    }

    /// Distance of neighbouring rows, or of columns where these are contiguous.
    pub fn distance(&self) -> usize {
        self.distance
    }

    /// Distances of neighbouring rows and of neighbouring columns.
    fn strides(&self) -> [isize; 2] {
        let distance = self.distance as isize;
        if self.by_rows { [distance, 1] } else { [1, distance] }
    }

    /// Whether `rows` by `columns` elements lie inside of the slice, and lines do not overlap.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let (line, lines) = if self.by_rows { (columns, rows) } else { (rows, columns) };
        self.distance >= line && self.data.len() >= (lines - 1) * self.distance + line
    }
}

/// One product, `out = left right` or `out += left right`, of sizes that were checked.
///
/// `out` is row-major `[m, n]`, `left` `[m, k]`, `right` `[k, n]`; no size is zero, every element
/// lies inside of its slice, and the lines of a matrix do not overlap.
#[derive(Debug)]
pub struct Product<'a, T> {
    out: &'a mut [T],
    stride: usize,
    sizes: [usize; 3],
    left: Matrix<'a, T>,
    right: Matrix<'a, T>,
    accumulate: bool,
}

impl<'a, T> Product<'a, T> {
    /// The product, unless there is nothing to multiply.
    ///
    /// # Panics
    /// Slices that do not hold the sizes: a fault of a kernel, which has checked its input before.
    pub(crate) fn new(
        out: &'a mut [T],
        stride: usize,
        [m, n, k]: [usize; 3],
        left: Matrix<'a, T>,
        right: Matrix<'a, T>,
        accumulate: bool,
    ) -> Option<Self> {
        if m == 0 || n == 0 || k == 0 {
            return None;
        }
        assert!(out.len() >= (m - 1) * stride + n && stride >= n);
        assert!(left.holds(m, k) && right.holds(k, n));
        Some(Self { out, stride, sizes: [m, n, k], left, right, accumulate })
    }

    /// Result, row-major.
    pub fn out(&mut self) -> &mut [T] {
        self.out
    }

    /// Distance of neighbouring rows of the result, at least `n`.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Sizes `[m, n, k]`.
    pub fn sizes(&self) -> [usize; 3] {
        self.sizes
    }

    /// Left operand, `[m, k]`.
    pub fn left(&self) -> Matrix<'a, T> {
        self.left
    }

    /// Right operand, `[k, n]`.
    pub fn right(&self) -> Matrix<'a, T> {
        self.right
    }

    /// Whether the product is added to what `out` holds.
    pub fn accumulates(&self) -> bool {
        self.accumulate
    }
}

/// Library of matrix products, called from several threads, on one thread for each product.
///
/// A function runs on the calling thread alone, and gives the same bits for the same operands.
#[derive(Debug, Clone, Copy)]
pub struct ProductLibrary {
    name: &'static str,
    single: fn(Product<'_, f32>),
    double: fn(Product<'_, f64>),
}

impl ProductLibrary {
    /// The crate `gemm`: packed in Rust, with the instructions that it finds.
    pub const GEMM: Self = Self { name: "gemm", single: by_gemm, double: by_gemm };

    /// Products of operands that are rounded to bf16, with sums in f32: half the arithmetic on a
    /// processor with AVX-512-BF16 ([`has_bf16_instructions`]), and the same bits on any other.
    /// Products of f64 are those of rounded operands, exactly.
    ///
    /// It is none of the libraries that are chosen among, since its results differ by more than the
    /// rounding of f32: a workspace is asked for it by [`Precision::Bf16`].
    pub const BF16: Self = Self { name: "bf16", single: bf16::multiply, double: bf16::multiply_exactly };

    /// A library of another kind.
    ///
    /// ```
    /// use lexmax_kernels::linear_ce::{Linear, Options, Workspace, loss};
    /// use lexmax_kernels::product::{Product, ProductLibrary};
    ///
    /// fn three_loops<T: lexmax_kernels::Element>(mut product: Product<'_, T>) {
    ///     let ([m, n, k], stride) = (product.sizes(), product.stride());
    ///     let (left, right, add) = (product.left(), product.right(), product.accumulates());
    ///     let at = |matrix: &lexmax_kernels::product::Matrix<'_, T>, i: usize, j: usize| {
    ///         let (line, place) = if matrix.has_contiguous_rows() { (i, j) } else { (j, i) };
    ///         matrix.data()[line * matrix.distance() + place]
    ///     };
    ///     for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
    ///         let start = if add { product.out()[i * stride + j] } else { T::default() };
    ///         product.out()[i * stride + j] =
    ///             (0..k).fold(start, |sum, d| sum + at(&left, i, d) * at(&right, d, j));
    ///     }
    /// }
    ///
    /// let library = ProductLibrary::new("three loops", three_loops, three_loops);
    /// let mut workspace = Workspace::new(1).with_products(library);
    /// let linear = Linear { hidden: &[1.0_f32], weight: &[0.0, 3_f32.ln()], bias: None, hidden_size: 1 };
    /// let rows = loss(linear, &[1], &Options::default(), &mut workspace)?;
    /// assert!((rows.target_log_prob[0] - 0.75_f64.ln()).abs() < 1e-6);
    /// # Ok::<(), lexmax_kernels::KernelError>(())
    /// ```
    pub const fn new(name: &'static str, single: fn(Product<'_, f32>), double: fn(Product<'_, f64>)) -> Self {
        Self { name, single, double }
    }

    /// Name that records and settings use.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Computes a product.
    pub fn run<T: Element>(&self, product: Product<'_, T>) {
        T::multiply(self, product);
    }

    /// Computes a product, where there is anything to multiply.
    pub(crate) fn multiply<T: Element>(&self, product: Option<Product<'_, T>>) {
        if let Some(product) = product {
            self.run(product);
        }
    }

    pub(crate) fn single(&self) -> fn(Product<'_, f32>) {
        self.single
    }

    pub(crate) fn double(&self) -> fn(Product<'_, f64>) {
        self.double
    }
}

fn by_gemm<T: Element>(product: Product<'_, T>) {
    let Product { out, stride, sizes: [m, n, k], left, right, accumulate } = product;
    let one = T::from_f64(1.0);
    let ([left_row, left_column], [right_row, right_column]) = (left.strides(), right.strides());
    // SAFETY: every element of the three matrices is inside its slice (a product checks that when
    // it is made; no slice is longer than isize::MAX), `out` is borrowed mutably so nothing
    // overlaps it, and rows of `out` do not overlap each other.
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
            left_column,
            left_row,
            right.data.as_ptr(),
            right_column,
            right_row,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_that_do_not_fit_are_refused() {
        let data = [0.0_f32; 12];
        // Rows of 4 and 5 apart: the last row needs 3 elements only.
        assert!(Matrix::rows(&data, 4).holds(3, 4) && Matrix::rows(&data, 5).holds(3, 2));
        assert!(!Matrix::rows(&data, 5).holds(3, 3) && !Matrix::rows(&data, 3).holds(3, 4));
        assert!(Matrix::columns(&data, 1).holds(1, 12) && Matrix::rows(&data, 1).holds(12, 1));
        assert!(Matrix::columns(&data, 4).holds(4, 3) && !Matrix::columns(&data, 4).holds(5, 2));
        let product = |out: &mut [f32], sizes| {
            Product::new(out, 4, sizes, Matrix::rows(&data, 4), Matrix::rows(&data, 4), false).is_some()
        };
        assert!(!product(&mut [0.0; 12], [0, 4, 4]), "nothing to multiply");
        assert!(product(&mut [0.0; 12], [3, 4, 3]));
        let short = std::panic::catch_unwind(|| product(&mut [0.0; 11], [3, 4, 3]));
        assert!(short.is_err());
    }
}
