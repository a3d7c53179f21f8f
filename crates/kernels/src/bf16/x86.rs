//! Products of pairs by `vdpbf16ps` of AVX-512-BF16, and packing by its conversions.

use std::arch::x86_64::*;

use super::{COLUMNS, PAIRS, Part, ROWS, STRIP, Target};
use crate::product::Matrix;

/// Elements of a register of f32, and pairs of one of bf16.
const LANES: usize = 16;
/// Most rows whose sums are in registers together: with two registers a row 24 of 32.
const MOST_ROWS: usize = 12;

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// Lines of an operand along which `k` or the other size runs: those of a part, as pointers.
#[derive(Clone, Copy)]
struct Lines {
    first: *const f32,
    distance: usize,
    /// Lines, and elements of each.
    lines: usize,
    elements: usize,
}

impl Lines {
    /// The elements of a matrix that a part takes: rows `rows` and columns `columns` of it.
    fn new(matrix: Matrix<'_, f32>, rows: &std::ops::Range<usize>, columns: &std::ops::Range<usize>) -> Self {
        let (lines, places) = if matrix.has_contiguous_rows() { (rows, columns) } else { (columns, rows) };
        let start = lines.start * matrix.distance() + places.start;
        let last = (lines.end - 1) * matrix.distance() + places.end;
        let part = &matrix.data()[start..last];
        Self { first: part.as_ptr(), distance: matrix.distance(), lines: lines.len(), elements: places.len() }
    }

    /// Elements `from..from + 16` of a line, zero beyond its end and in a line that is not there.
    ///
    /// # Safety
    /// The processor has AVX-512F; the matrix still lives.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(self, line: usize, from: usize) -> __m512 {
        let count = if line < self.lines { self.elements.saturating_sub(from).min(LANES) } else { 0 };
        if count == 0 {
            return _mm512_setzero_ps();
        }
        // SAFETY: the line and its first `count` elements from there are part of the matrix.
        unsafe { _mm512_maskz_loadu_ps(mask(count), self.first.add(line * self.distance + from)) }
    }
}

fn mask(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

/// Packs the rows of a part of the left operand.
pub(super) fn pack_left(packed: &mut [u32], matrix: Matrix<'_, f32>, part: &Part) {
    assert!(packed.len() >= ROWS * PAIRS && part.rows.len() <= ROWS && part.pairs() <= PAIRS);
    assert!(is_available());
    let lines = Lines::new(matrix, &part.rows, &part.depth);
    // SAFETY: the processor has the instructions. Both layouts stay inside of the buffer: sixteen
    // neighbours are written at multiples of 16 below `PAIRS` or `ROWS`, both multiples of 16.
    unsafe {
        if matrix.has_contiguous_rows() {
            pairs_along(lines, |row, p, pairs| {
                _mm512_storeu_si512(packed.as_mut_ptr().add(row * PAIRS + p).cast(), pairs);
            });
        } else {
            pairs_across(lines, |p, row, pairs| {
                _mm512_storeu_si512(packed.as_mut_ptr().add(p * ROWS + row).cast(), pairs);
            });
        }
    }
}

/// Packs the columns of a part of the right operand.
pub(super) fn pack_right(packed: &mut [u32], matrix: Matrix<'_, f32>, part: &Part) {
    let columns = part.columns.len();
    assert!(packed.len() >= columns.next_multiple_of(STRIP) * PAIRS && columns <= COLUMNS);
    assert!(part.pairs() <= PAIRS && is_available());
    let lines = Lines::new(matrix, &part.depth, &part.columns);
    let at = |p: usize, column: usize| (column / STRIP * PAIRS + p) * STRIP + column % STRIP;
    // SAFETY: the processor has the instructions. A strip has `PAIRS` times `STRIP` pairs, the
    // strips of all columns are in the buffer; sixteen neighbouring columns from a multiple of 16
    // lie in one strip, and sixteen neighbouring pairs, `STRIP` apart, too.
    unsafe {
        if matrix.has_contiguous_rows() {
            pairs_across(lines, |p, column, pairs| {
                _mm512_storeu_si512(packed.as_mut_ptr().add(at(p, column)).cast(), pairs);
            });
        } else {
            let steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15_i32].map(|i| i * STRIP as i32);
            pairs_along(lines, |column, p, pairs| {
                let steps = _mm512_loadu_si512(steps.as_ptr().cast());
                _mm512_i32scatter_epi32::<4>(packed.as_mut_ptr().add(at(p, column)).cast(), steps, pairs);
            });
        }
    }
}

/// Pairs of neighbours in each line: calls `put` with the line, the first of sixteen pairs, and the
/// pairs.
///
/// # Safety
/// The processor has the instructions; the matrix still lives.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pairs_along(lines: Lines, mut put: impl FnMut(usize, usize, __m512i)) {
    for line in 0..lines.lines {
        for from in (0..lines.elements).step_by(2 * LANES) {
            // SAFETY: as the caller.
            unsafe {
                let both = _mm512_cvtne2ps_pbh(lines.load(line, from + LANES), lines.load(line, from));
                put(line, from / 2, std::mem::transmute::<__m512bh, __m512i>(both));
            }
        }
    }
}

/// Pairs of the same element of two neighbouring lines: calls `put` with the number of the pair of
/// lines, the first of sixteen elements, and the pairs.
///
/// # Safety
/// As [`pairs_along`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pairs_across(lines: Lines, mut put: impl FnMut(usize, usize, __m512i)) {
    let order: [u16; 32] = std::array::from_fn(|i| (i / 2 + if i % 2 == 0 { 0 } else { LANES }) as u16);
    // SAFETY: as the caller; `order` has 32 elements of 16 bits.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for p in 0..lines.lines.div_ceil(2) {
            for from in (0..lines.elements).step_by(LANES) {
                let both = _mm512_cvtne2ps_pbh(lines.load(2 * p + 1, from), lines.load(2 * p, from));
                let both = std::mem::transmute::<__m512bh, __m512i>(both);
                put(p, from, _mm512_permutexvar_epi16(order, both));
            }
        }
    }
}

/// Adds the product of a packed block of rows and of columns.
pub(super) fn multiply(left: &[u32], right: &[u32], out: &mut [f32], part: &Part, target: Target) {
    let (rows, columns) = (part.rows.len(), part.columns.len());
    assert!(rows <= ROWS && part.pairs() <= PAIRS && left.len() >= ROWS * PAIRS);
    assert!(right.len() >= columns.next_multiple_of(STRIP) * PAIRS);
    assert!(out.len() >= (part.rows.end - 1) * target.stride + part.columns.end);
    assert!(is_available());
    let start = part.rows.start * target.stride + part.columns.start;
    // SAFETY: the processor has the instructions, and the checks above are what the block relies
    // on.
    unsafe {
        let out = out.as_mut_ptr().add(start);
        let block =
            Block { left: left.as_ptr(), right: right.as_ptr(), out, rows, columns, pairs: part.pairs() };
        if target.by_rows { block.multiply::<true>(target) } else { block.multiply::<false>(target) }
    }
}

/// A packed block and the corner of the result that it is for.
#[derive(Clone, Copy)]
struct Block {
    left: *const u32,
    right: *const u32,
    out: *mut f32,
    rows: usize,
    columns: usize,
    pairs: usize,
}

impl Block {
    /// # Safety
    /// The processor has the instructions; the packed operands hold `rows` and `columns` of
    /// `pairs`, and the result has so many rows, `target.stride` apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn multiply<const BY_ROWS: bool>(self, target: Target) {
        let mut done = 0;
        while done < self.rows {
            let rows = match self.rows - done {
                MOST_ROWS.. => MOST_ROWS,
                8..MOST_ROWS => 8,
                4..8 => 4,
                2..4 => 2,
                _ => 1,
            };
            // SAFETY: as the caller; rows `done..done + rows` are left.
            unsafe {
                let left = self.left.add(done * if BY_ROWS { PAIRS } else { 1 });
                let strips = Block { left, out: self.out.add(done * target.stride), ..self };
                match rows {
                    MOST_ROWS => strips.strips::<MOST_ROWS, BY_ROWS>(target),
                    8 => strips.strips::<8, BY_ROWS>(target),
                    4 => strips.strips::<4, BY_ROWS>(target),
                    2 => strips.strips::<2, BY_ROWS>(target),
                    _ => strips.strips::<1, BY_ROWS>(target),
                }
            }
            done += rows;
        }
    }

    /// # Safety
    /// As [`Block::multiply`], for the first `R` rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn strips<const R: usize, const BY_ROWS: bool>(self, target: Target) {
        for first in (0..self.columns).step_by(STRIP) {
            let left = self.columns - first;
            // SAFETY: as the caller; the strip and its columns of the result are there.
            unsafe {
                let right = self.right.add(first * PAIRS);
                let strip = Block { right, out: self.out.add(first), columns: left.min(STRIP), ..self };
                if left > LANES {
                    strip.strip::<R, 2, BY_ROWS>(target);
                } else {
                    strip.strip::<R, 1, BY_ROWS>(target);
                }
            }
        }
    }

    /// Products of `R` rows with the columns of one strip, in `V` registers a row.
    ///
    /// # Safety
    /// As [`Block::multiply`], for the first `R` rows and at most `16 V` columns.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn strip<const R: usize, const V: usize, const BY_ROWS: bool>(self, target: Target) {
        let (of_row, of_pair) = if BY_ROWS { (PAIRS, 1) } else { (1, ROWS) };
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        // SAFETY: as the caller.
        unsafe {
            for p in 0..self.pairs {
                let mut columns = [_mm512_setzero_si512(); V];
                for (v, columns) in columns.iter_mut().enumerate() {
                    *columns = _mm512_loadu_si512(self.right.add(p * STRIP + v * LANES).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let row = _mm512_set1_epi32(*self.left.add(r * of_row + p * of_pair) as i32);
                    let row = std::mem::transmute::<__m512i, __m512bh>(row);
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        let columns = std::mem::transmute::<__m512i, __m512bh>(columns);
                        *sum = _mm512_dpbf16_ps(*sum, row, columns);
                    }
                }
            }
            let last = mask(self.columns - (V - 1) * LANES);
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let to = self.out.add(r * target.stride + v * LANES);
                    let mask = if v + 1 == V { last } else { u16::MAX };
                    let before =
                        if target.add { _mm512_maskz_loadu_ps(mask, to) } else { _mm512_setzero_ps() };
                    _mm512_mask_storeu_ps(to, mask, _mm512_add_ps(before, *sum));
                }
            }
        }
    }
}
