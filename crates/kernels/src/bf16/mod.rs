//! Matrix products of f32 matrices whose operands are rounded to bf16, with sums in f32.
//!
//! bf16 has the exponent of f32 and 8 bits of precision; a product of two is exact in f32. Each
//! element of the result is made in one order, whatever the instructions:
//!
//! `s = s + a[2p + 1] b[2p + 1]`, then `s = s + a[2p] b[2p]`, for the pairs `p` of one block of
//! [`DEPTH`] elements of `k`, each addition rounded to f32; the blocks' sums are added to the
//! result in rising order.
//!
//! That is the order of the instruction `vdpbf16ps` of AVX-512-BF16, which does 32 multiplications
//! where a fused multiply-add of f32 does 16. Every other processor runs the same additions by
//! `arrays.rs`, so the bits are the same on all (but for sums below the smallest normal f32, which
//! the instruction takes for zero). Operands are packed as pairs of bf16 in one `u32`, the element
//! of the lower `k` in the low half: `pack.rs`, and `x86.rs` by instructions.

mod arrays;
mod pack;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::cell::RefCell;
use std::ops::Range;

use crate::buffer::Aligned;
use crate::product::{Matrix, Product, ProductLibrary};
use crate::simd::Level;

/// Elements of `k` that are added up in registers.
pub(crate) const DEPTH: usize = 256;
/// Pairs of a block of `k`.
const PAIRS: usize = DEPTH / 2;
/// Columns of the right operand that lie side by side when packed.
const STRIP: usize = 32;
/// Columns of the right operand that are packed at a time: 256 KiB, part of a second-level cache.
const COLUMNS: usize = 512;
/// Rows of the left operand that are packed at a time, in a first-level cache.
const ROWS: usize = 48;

/// Packed operands of one block, kept by each thread from product to product.
#[derive(Default)]
struct Packed {
    /// Left operand: `[ROWS, PAIRS]` where its rows are contiguous, `[PAIRS, ROWS]` elsewhere.
    left: Aligned<u32>,
    /// Right operand: `[strips, PAIRS, STRIP]`.
    right: Aligned<u32>,
    /// The right operand as f32, `[strips, PAIRS, 2, STRIP]`, the high halves first; for processors
    /// without the instruction.
    wide: Aligned<f32>,
}

thread_local! {
    static PACKED: RefCell<Packed> = RefCell::default();
}

/// Part of a product: some rows and columns of the result, for one block of `k`.
#[derive(Debug, Clone)]
struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
    depth: Range<usize>,
}

impl Part {
    fn pairs(&self) -> usize {
        self.depth.len().div_ceil(2)
    }
}

/// A product with the fastest instructions of this process.
pub(crate) fn multiply(product: Product<'_, f32>) {
    multiply_at(Level::best(), product);
}

fn multiply_at(level: Level, mut product: Product<'_, f32>) {
    let ([m, n, k], stride) = (product.sizes(), product.stride());
    let (left, right, accumulates) = (product.left(), product.right(), product.accumulates());
    PACKED.with_borrow_mut(|packed| {
        packed.left.resize(ROWS * PAIRS);
        packed.right.resize(n.min(COLUMNS).next_multiple_of(STRIP) * PAIRS);
        let has_instruction = has_instruction(level);
        packed.wide.resize(if has_instruction { 0 } else { packed.right.len() * 2 });
        for columns in blocks(n, COLUMNS) {
            for depth in blocks(k, DEPTH) {
                let add = accumulates || depth.start > 0;
                let mut part = Part { rows: 0..0, columns: columns.clone(), depth };
                let target = Target { by_rows: left.has_contiguous_rows(), stride, add };
                if has_instruction {
                    by_instruction(packed, product.out(), (left, right), &mut part, m, target);
                } else {
                    by_arrays(level, packed, product.out(), (left, right), &mut part, m, target);
                }
            }
        }
    });
}

/// How a block of the left operand lies, and where its product goes.
#[derive(Debug, Clone, Copy)]
struct Target {
    by_rows: bool,
    stride: usize,
    add: bool,
}

fn by_arrays(
    level: Level,
    packed: &mut Packed,
    out: &mut [f32],
    (left, right): (Matrix<'_, f32>, Matrix<'_, f32>),
    part: &mut Part,
    rows: usize,
    target: Target,
) {
    pack::right(&mut packed.right, right, part);
    pack::widen(&mut packed.wide, &packed.right);
    for rows in blocks(rows, ROWS) {
        part.rows = rows;
        pack::left(&mut packed.left, left, part);
        arrays::multiply(level, &packed.left, &packed.wide, out, part, target);
    }
}

#[cfg(target_arch = "x86_64")]
fn has_instruction(level: Level) -> bool {
    level == Level::Avx512 && x86::is_available()
}

#[cfg(not(target_arch = "x86_64"))]
fn has_instruction(_level: Level) -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
fn by_instruction(
    packed: &mut Packed,
    out: &mut [f32],
    (left, right): (Matrix<'_, f32>, Matrix<'_, f32>),
    part: &mut Part,
    rows: usize,
    target: Target,
) {
    x86::pack_right(&mut packed.right, right, part);
    for rows in blocks(rows, ROWS) {
        part.rows = rows;
        x86::pack_left(&mut packed.left, left, part);
        x86::multiply(&packed.left, &packed.right, out, part, target);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_instruction(
    packed: &mut Packed,
    out: &mut [f32],
    operands: (Matrix<'_, f32>, Matrix<'_, f32>),
    part: &mut Part,
    rows: usize,
    target: Target,
) {
    by_arrays(Level::Portable, packed, out, operands, part, rows, target);
}

/// Whether the products of [`ProductLibrary::BF16`] run on instructions for bf16 in this process:
/// AVX-512-BF16, unless `LEXMAX_LEVEL` forbids AVX-512. Elsewhere f32 arithmetic gives the same
/// bits, without a gain in time.
pub fn has_bf16_instructions() -> bool {
    has_instruction(Level::best())
}

/// Products in f64 of operands rounded to bf16: what [`multiply`] would give with exact sums.
pub(crate) fn multiply_exactly(mut product: Product<'_, f64>) {
    let ([m, n, k], stride) = (product.sizes(), product.stride());
    let rounded = |matrix: Matrix<'_, f64>, rows, columns| -> Vec<f64> {
        let at = |i: usize| pack::element(matrix, i / columns, i % columns);
        (0..rows * columns).map(|i| f64::from(pack::widened(pack::round(at(i) as f32)))).collect()
    };
    let (left, right) = (rounded(product.left(), m, k), rounded(product.right(), k, n));
    let add = product.accumulates();
    let (left, right) = (Matrix::rows(&left, k), Matrix::rows(&right, n));
    ProductLibrary::GEMM.multiply(Product::new(product.out(), stride, [m, n, k], left, right, add));
}

/// Neighbouring ranges of at most `most` that cover `0..len`.
fn blocks(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(most).map(move |start| start..(start + most).min(len))
}

#[cfg(test)]
mod tests;
