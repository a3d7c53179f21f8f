//! Products with rows that lie anywhere in a table: dot products, and sums with factors.

use crate::element::Element;
use crate::simd::{Kernel, Level, Vector, dispatch};

/// Dot products with rows of a table, `out[j] = with . table[rows[j]]`.
#[derive(Debug)]
pub struct Dots<'a, T> {
    /// Rows of `with.len()` elements.
    pub(crate) table: &'a [T],
    pub(crate) rows: &'a [u32],
    pub(crate) with: &'a [T],
    /// One for each row.
    pub(crate) out: &'a mut [T],
}

/// Linear combination of rows of a table, `out += sum_j factors[j] table[rows[j]]`.
#[derive(Debug)]
pub struct Combine<'a, T> {
    /// Rows of `out.len()` elements.
    pub(crate) table: &'a [T],
    pub(crate) rows: &'a [u32],
    /// One for each row.
    pub(crate) factors: &'a [T],
    pub(crate) out: &'a mut [T],
}

/// Registers that a sum is spread over, so that one addition need not wait for the one before.
const REGISTERS: usize = 4;
/// Rows whose sum is made in registers before it is added to the rest: sums of sums keep f32's
/// rounding error small.
const PARTIAL_SUM: usize = 128;

impl<T: Element> Combine<'_, T> {
    /// Adds any number of rows, a bounded number of them at a time.
    pub(crate) fn add(self, level: Level) {
        let Self { table, rows, factors, out } = self;
        for (rows, factors) in rows.chunks(PARTIAL_SUM).zip(factors.chunks(PARTIAL_SUM)) {
            dispatch(level, Combine { table, rows, factors, out: &mut *out });
        }
    }
}

fn check_rows<T>(table: &[T], rows: &[u32], size: usize) {
    let Some(largest) = rows.iter().max() else { return };
    assert!((*largest as usize + 1).checked_mul(size).is_some_and(|end| end <= table.len()));
}

impl<T: Element> Kernel<T> for Dots<'_, T> {
    type Out = ();

    fn check(&self) {
        assert!(self.rows.len() == self.out.len());
        check_rows(self.table, self.rows, self.with.len());
    }

    // The dot products.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        let size = self.with.len();
        for (row, out) in self.rows.iter().zip(self.out.iter_mut()) {
            // SAFETY: the row ends inside the table (checked), and every register ends before
            // `size`.
            unsafe {
                let (left, right) = (self.with.as_ptr(), self.table.as_ptr().add(*row as usize * size));
                let mut sums = [V::splat(T::default()); REGISTERS];
                let mut at = 0;
                while at + REGISTERS * V::LANES <= size {
                    for (part, sum) in sums.iter_mut().enumerate() {
                        let at = at + part * V::LANES;
                        *sum = V::load(left.add(at)).mul_add(V::load(right.add(at)), *sum);
                    }
                    at += REGISTERS * V::LANES;
                }
                while at + V::LANES <= size {
                    sums[0] = V::load(left.add(at)).mul_add(V::load(right.add(at)), sums[0]);
                    at += V::LANES;
                }
                let [a, b, c, d] = sums;
                let mut sum = a.add(b).add(c.add(d)).sum();
                for at in at..size {
                    sum += (*left.add(at)).to_f64() * (*right.add(at)).to_f64();
                }
                *out = T::from_f64(sum);
            }
        }
    }
}

impl<T: Element> Kernel<T> for Combine<'_, T> {
    type Out = ();

    fn check(&self) {
        assert!(self.rows.len() == self.factors.len());
        check_rows(self.table, self.rows, self.out.len());
    }

    // The sum of rows with factors.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let size = self.out.len();
        let mut at = 0;
        // SAFETY: rows end inside the table (checked), and every register ends before `size`.
        unsafe {
            while at + REGISTERS * V::LANES <= size {
                block::<V, REGISTERS>(&mut self, at);
                at += REGISTERS * V::LANES;
            }
            while at + V::LANES <= size {
                block::<V, 1>(&mut self, at);
                at += V::LANES;
            }
        }
        for at in at..size {
            let terms = self.rows.iter().zip(self.factors);
            let sum: f64 = terms
                .map(|(row, factor)| factor.to_f64() * self.table[*row as usize * size + at].to_f64())
                .sum();
            self.out[at] = self.out[at] + T::from_f64(sum);
        }
    }
}

/// The part of the sum that `PARTS` registers hold, from the number `at` on.
///
/// # Safety
/// As [`Kernel::run`]; the registers end before the rows do.
#[inline(always)]
unsafe fn block<V: Vector<Scalar: Element>, const PARTS: usize>(job: &mut Combine<'_, V::Scalar>, at: usize) {
    let size = job.out.len();
    // SAFETY: as the caller.
    unsafe {
        let mut sums = [V::splat(V::Scalar::default()); PARTS];
        for (row, factor) in job.rows.iter().zip(job.factors) {
            let from = job.table.as_ptr().add(*row as usize * size + at);
            let factor = V::splat(*factor);
            for (part, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(from.add(part * V::LANES)).mul_add(factor, *sum);
            }
        }
        for (part, sum) in sums.iter().enumerate() {
            let to = job.out.as_mut_ptr().add(at + part * V::LANES);
            V::load(to).add(*sum).store(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(i: usize) -> f32 {
        ((i * 7919 + 13) % 17) as f32 - 8.0
    }

    proptest! {
        /// Small integers: exact at every level, whatever the order of the sums.
        #[test]
        fn rows_anywhere_equal_two_loops(size in 1..150_usize, rows in prop::collection::vec(0..9_u32, 0..300)) {
            let table: Vec<f32> = (0..9 * size).map(number).collect();
            let with: Vec<f32> = (0..size).map(|i| number(i + 3)).collect();
            let factors: Vec<f32> = (0..rows.len()).map(|i| number(i + 1)).collect();
            let at = |row: u32, d: usize| table[row as usize * size + d];
            let dots: Vec<f32> = rows.iter().map(|row| (0..size).map(|d| at(*row, d) * with[d]).sum()).collect();
            let sums: Vec<f32> = (0..size)
                .map(|d| 2.0 + rows.iter().zip(&factors).map(|(row, factor)| at(*row, d) * factor).sum::<f32>())
                .collect();
            for level in Level::ALL {
                let mut out = vec![0.0; rows.len()];
                dispatch(level, Dots { table: &table, rows: &rows, with: &with, out: &mut out });
                prop_assert_eq!(&out, &dots);
                let mut out = vec![2.0; size];
                Combine { table: &table, rows: &rows, factors: &factors, out: &mut out }.add(level);
                prop_assert_eq!(&out, &sums);
            }
            let wide = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let (table, mut out) = (wide(&table), vec![2.0; size]);
            Combine { table: &table, rows: &rows, factors: &wide(&factors), out: &mut out }.add(Level::Portable);
            prop_assert_eq!(out, wide(&sums));
            let mut out = vec![0.0; rows.len()];
            dispatch(Level::best(), Dots { table: &table, rows: &rows, with: &wide(&with), out: &mut out });
            prop_assert_eq!(out, wide(&dots));
        }
    }
}
