//! The two sums of vectors that a sweep over paths is made of, over rows at given places of a
//! matrix.

use crate::element::Element;
use crate::simd::Vector;

/// `out_i = vector . matrix[offsets_i ..]` for each of the offsets. Several rows at a time, so that
/// a part of the vector is loaded once for all of them and their sums do not wait for each other.
///
/// # Safety
/// The processor has the instructions of `V`.
///
/// # Panics
/// A row that is not inside the matrix; `out` shorter than `offsets`.
#[inline(always)]
pub(super) unsafe fn dots<T: Element, V: Vector<Scalar = T>>(
    out: &mut [T],
    matrix: &[T],
    offsets: &[usize],
    vector: &[T],
) {
    let (mut out, mut offsets) = (&mut out[..offsets.len()], offsets);
    // SAFETY: as the caller.
    unsafe {
        while offsets.len() >= 8 {
            (out, offsets) = group::<T, V, 8>(out, matrix, offsets, vector);
        }
        if offsets.len() >= 4 {
            (out, offsets) = group::<T, V, 4>(out, matrix, offsets, vector);
        }
        if offsets.len() >= 2 {
            (out, offsets) = group::<T, V, 2>(out, matrix, offsets, vector);
        }
        if !offsets.is_empty() {
            group::<T, V, 1>(out, matrix, offsets, vector);
        }
    }
}

/// The first `G` of the products; what is left of output and offsets.
///
/// # Safety
/// As [`dots`].
#[inline(always)]
unsafe fn group<'o, 'i, T: Element, V: Vector<Scalar = T>, const G: usize>(
    out: &'o mut [T],
    matrix: &[T],
    offsets: &'i [usize],
    vector: &[T],
) -> (&'o mut [T], &'i [usize]) {
    let size = vector.len();
    let rows: [&[T]; G] = std::array::from_fn(|i| &matrix[offsets[i]..offsets[i] + size]);
    let whole = size / V::LANES * V::LANES;
    // SAFETY: the caller has the instructions; every row and the vector have `size` numbers, and
    // `at + LANES <= whole <= size`.
    let sums = unsafe {
        let mut sums = [V::splat(T::default()); G];
        for at in (0..whole).step_by(V::LANES) {
            let part = V::load(vector.as_ptr().add(at));
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = V::load(row.as_ptr().add(at)).mul_add(part, *sum);
            }
        }
        sums.map(|sum| sum.sum())
    };
    let (now, later) = out.split_at_mut(G);
    for ((out, sum), row) in now.iter_mut().zip(sums).zip(&rows) {
        let rest = row[whole..].iter().zip(&vector[whole..]).map(|(a, b)| a.to_f64() * b.to_f64());
        *out = T::from_f64(sum + rest.sum::<f64>());
    }
    (later, &offsets[G..])
}

/// Registers of the output that are summed at once.
const REGISTERS: usize = 4;

/// `out (+)= sum_i factors_i matrix[offsets_i ..]`. A part of the output stays in registers while
/// all rows are added to it.
///
/// # Safety
/// The processor has the instructions of `V`.
///
/// # Panics
/// A row that is not inside the matrix; not as many factors as offsets.
#[inline(always)]
pub(super) unsafe fn combine<T: Element, V: Vector<Scalar = T>>(
    out: &mut [T],
    matrix: &[T],
    offsets: &[usize],
    factors: &[T],
    accumulate: bool,
) {
    let size = out.len();
    assert!(offsets.len() == factors.len() && size <= matrix.len());
    assert!(offsets.iter().all(|&offset| offset <= matrix.len() - size));
    let wide = REGISTERS * V::LANES;
    let (many, whole) = (size / wide * wide, size / V::LANES * V::LANES);
    // SAFETY: the caller has the instructions; every row has `size` numbers inside the matrix
    // (checked above), as has `out`, and the registers of a part end at `whole <= size`.
    unsafe {
        for at in (0..many).step_by(wide) {
            part::<T, V, REGISTERS>(out, matrix, offsets, factors, accumulate, at);
        }
        for at in (many..whole).step_by(V::LANES) {
            part::<T, V, 1>(out, matrix, offsets, factors, accumulate, at);
        }
    }
    for (at, out) in out.iter_mut().enumerate().skip(whole) {
        let mut sum = if accumulate { *out } else { T::default() };
        for (&offset, &factor) in offsets.iter().zip(factors) {
            sum = sum + matrix[offset + at] * factor;
        }
        *out = sum;
    }
}

/// `P` registers of the output from `at` on.
///
/// # Safety
/// As [`combine`]; `P` registers from `at` on are inside the output and inside every row.
#[inline(always)]
unsafe fn part<T: Element, V: Vector<Scalar = T>, const P: usize>(
    out: &mut [T],
    matrix: &[T],
    offsets: &[usize],
    factors: &[T],
    accumulate: bool,
    at: usize,
) {
    // SAFETY: as the caller.
    unsafe {
        let out = out.as_mut_ptr().add(at);
        let mut sums = [V::splat(T::default()); P];
        if accumulate {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(out.add(i * V::LANES));
            }
        }
        for (&offset, &factor) in offsets.iter().zip(factors) {
            let (row, factor) = (matrix.as_ptr().add(offset + at), V::splat(factor));
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(row.add(i * V::LANES)).mul_add(factor, *sum);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(out.add(i * V::LANES));
        }
    }
}

/// `values_i = exp(-|values_i|)`.
///
/// # Safety
/// The processor has the instructions of `V`.
///
/// # Panics
/// The number of values is not a multiple of [`PADDING`].
#[inline(always)]
pub(super) unsafe fn exp_of_minus_abs<T: Element, V: Vector<Scalar = T>>(values: &mut [T]) {
    assert!(values.len().is_multiple_of(PADDING) && PADDING.is_multiple_of(V::LANES));
    for values in values.chunks_exact_mut(V::LANES) {
        // SAFETY: the caller has the instructions; a chunk has `LANES` numbers.
        unsafe {
            let value = V::load(values.as_ptr());
            V::splat(T::default()).sub(value.abs()).exp().store(values.as_mut_ptr());
        }
    }
}

/// Asks for a row of a matrix, so that it is on its way to the caches while something else is done.
#[inline(always)]
pub(super) fn fetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(64 / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which changes nothing that a program
        // sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// Elements of the widest register.
pub(super) const PADDING: usize = 16;
