//! Rounding to bf16, and operands packed as pairs without instructions of their own.

use super::{PAIRS, Part, ROWS, STRIP};
use crate::product::Matrix;

/// Bits of the nearest bf16, of two equally near ones the even one. Subnormal numbers become zero
/// and numbers that are not stay so, by the rules of the instruction.
pub(super) fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    if bits & 0x7f80_0000 == 0 {
        return (bits >> 16) as u16 & 0x8000;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// The number of the bits of a bf16.
pub(super) fn widened(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Numbers of the high and the low half of a pair.
pub(super) fn halves(pair: u32) -> [f32; 2] {
    [f32::from_bits(pair & 0xffff_0000), f32::from_bits(pair << 16)]
}

/// Element of a row and a column.
pub(super) fn element<T: Copy>(matrix: Matrix<'_, T>, row: usize, column: usize) -> T {
    let (line, place) = if matrix.has_contiguous_rows() { (row, column) } else { (column, row) };
    matrix.data()[line * matrix.distance() + place]
}

/// The pair of two neighbouring elements of `k`, the second of which may be beyond the end.
fn pair(part: &Part, pair: usize, at: impl Fn(usize) -> f32) -> u32 {
    let low = part.depth.start + 2 * pair;
    let high = if low + 1 < part.depth.end { round(at(low + 1)) } else { 0 };
    u32::from(high) << 16 | u32::from(round(at(low)))
}

/// Packs the rows of a part of the left operand.
pub(super) fn left(packed: &mut [u32], matrix: Matrix<'_, f32>, part: &Part) {
    let by_rows = matrix.has_contiguous_rows();
    for (at, row) in part.rows.clone().enumerate() {
        for p in 0..part.pairs() {
            let to = if by_rows { at * PAIRS + p } else { p * ROWS + at };
            packed[to] = pair(part, p, |k| element(matrix, row, k));
        }
    }
}

/// Packs the columns of a part of the right operand.
pub(super) fn right(packed: &mut [u32], matrix: Matrix<'_, f32>, part: &Part) {
    for (at, column) in part.columns.clone().enumerate() {
        for p in 0..part.pairs() {
            packed[(at / STRIP * PAIRS + p) * STRIP + at % STRIP] =
                pair(part, p, |k| element(matrix, k, column));
        }
    }
}

/// The packed right operand with the halves of its pairs as f32, side by side.
pub(super) fn widen(wide: &mut [f32], packed: &[u32]) {
    for (to, from) in wide.chunks_exact_mut(2 * STRIP).zip(packed.chunks_exact(STRIP)) {
        let (high, low) = to.split_at_mut(STRIP);
        for ((high, low), pair) in high.iter_mut().zip(low).zip(from) {
            [*high, *low] = halves(*pair);
        }
    }
}
