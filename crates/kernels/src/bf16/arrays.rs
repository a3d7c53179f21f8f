//! Products of packed pairs on any processor: the additions of `vdpbf16ps`, one after the other.

use super::pack::halves;
use super::{PAIRS, Part, ROWS, STRIP, Target};
use crate::simd::{Kernel, Level, Vector, dispatch};

/// Adds the product of a packed block of rows and of columns, in the order of the module.
pub(super) fn multiply(
    level: Level,
    left: &[u32],
    wide: &[f32],
    out: &mut [f32],
    part: &Part,
    target: Target,
) {
    dispatch(level, Block { left, wide, out, part, target });
}

struct Block<'a> {
    left: &'a [u32],
    wide: &'a [f32],
    out: &'a mut [f32],
    part: &'a Part,
    target: Target,
}

/// Rows whose sums are in registers together.
const TOGETHER: usize = 4;

impl Kernel<f32> for Block<'_> {
    type Out = ();

    fn check(&self) {
        let (rows, columns) = (self.part.rows.len(), self.part.columns.len());
        assert!(rows <= ROWS && self.part.pairs() <= PAIRS && self.left.len() >= ROWS * PAIRS);
        assert!(self.wide.len() >= columns.next_multiple_of(STRIP) * PAIRS * 2);
        assert!(self.out.len() >= (self.part.rows.end - 1) * self.target.stride + self.part.columns.end);
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = f32>, const UNROLL: usize>(self) {
        let Self { left, wide, out, part, target } = self;
        let (rows, columns) = (part.rows.len(), part.columns.len());
        let (of_row, of_pair) = if target.by_rows { (PAIRS, 1) } else { (1, ROWS) };
        for strip in 0..columns.div_ceil(STRIP) {
            for lane in (0..STRIP).step_by(2 * V::LANES) {
                let column = strip * STRIP + lane;
                if column >= columns {
                    continue;
                }
                for first in (0..rows).step_by(TOGETHER) {
                    // Rows beyond the last are those of an earlier block; their sums are dropped.
                    let together = TOGETHER.min(rows - first);
                    let mut sums = [[0.0; STRIP]; TOGETHER];
                    // SAFETY: the caller has the instructions; a strip has `STRIP` lanes, of which
                    // these are `2 LANES`, and the buffers were checked.
                    unsafe {
                        let zero = V::splat(0.0);
                        let mut held = [[zero; 2]; TOGETHER];
                        for p in 0..part.pairs() {
                            let from = wide.as_ptr().add((strip * PAIRS + p) * 2 * STRIP + lane);
                            let high = [V::load(from), V::load(from.add(V::LANES))];
                            let low = [V::load(from.add(STRIP)), V::load(from.add(STRIP + V::LANES))];
                            for (r, held) in held.iter_mut().enumerate() {
                                let [of_high, of_low] = halves(
                                    *left.get_unchecked((first + r).min(ROWS - 1) * of_row + p * of_pair),
                                );
                                let (of_high, of_low) = (V::splat(of_high), V::splat(of_low));
                                for (v, held) in held.iter_mut().enumerate() {
                                    *held = of_low.mul_add(low[v], of_high.mul_add(high[v], *held));
                                }
                            }
                        }
                        for (held, sums) in held.iter().zip(&mut sums) {
                            held[0].store(sums.as_mut_ptr());
                            held[1].store(sums.as_mut_ptr().add(V::LANES));
                        }
                    }
                    let count = (2 * V::LANES).min(columns - column);
                    for (r, sums) in sums[..together].iter().enumerate() {
                        let at = (part.rows.start + first + r) * target.stride + part.columns.start + column;
                        for (out, sum) in out[at..at + count].iter_mut().zip(sums) {
                            *out = if target.add { *out + sum } else { *sum };
                        }
                    }
                }
            }
        }
    }
}
