//! Sums of the rows that have the same id.

use super::worth;
use crate::pool::on_each;
use crate::simd::{Kernel, Vector, dispatch};
use crate::{Element, KernelError, Level, Result};

/// Whether ids rise strictly, so that each occurs once.
pub fn rising(ids: &[i64]) -> bool {
    ids.windows(2).all(|pair| pair[0] < pair[1])
}

/// The different ids of a list, rising, and where each occurs: what turns one gradient row for each
/// occurrence into one for each id.
///
/// Cost: a sort of `N` numbers, then one pass over the `[N, D]` values. The values of one id are
/// added in their order, in f64, so the sums are the same bits on any number of threads.
///
/// ```
/// use lexmax_kernels::optim::Merge;
///
/// let merge = Merge::new(&[7, 2, 7]);
/// assert_eq!(merge.ids(), [2, 7]);
/// let mut sums = [0.0_f32; 4];
/// merge.sum(&[1.0, 1.0, 5.0, 6.0, 2.0, 3.0], 2, &mut sums, 1)?;
/// assert_eq!(sums, [5.0, 6.0, 3.0, 4.0]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    ids: Vec<i64>,
    /// Positions in the list, those of one id side by side and rising.
    positions: Vec<usize>,
    /// End of each id's range in `positions`.
    ends: Vec<usize>,
}

impl Merge {
    /// Sorts the ids of a list.
    pub fn new(list: &[i64]) -> Self {
        let mut pairs: Vec<(i64, usize)> = list.iter().copied().zip(0..).collect();
        pairs.sort_unstable();
        let mut merge = Self { positions: pairs.iter().map(|pair| pair.1).collect(), ..Self::default() };
        for (index, &(id, _)) in pairs.iter().enumerate() {
            if merge.ids.last() != Some(&id) {
                merge.ids.push(id);
                merge.ends.push(index);
            }
            if let Some(end) = merge.ends.last_mut() {
                *end = index + 1;
            }
        }
        merge
    }

    /// The different ids, rising.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Writes the sum of the rows of `values` `[N, width]` of each id into `sums` `[R, width]`, on
    /// at most `threads` threads.
    ///
    /// # Errors
    /// Lengths that do not fit; nothing was written then.
    pub fn sum<T: Element>(&self, values: &[T], width: usize, sums: &mut [T], threads: usize) -> Result<()> {
        let op = "optim::Merge::sum";
        KernelError::check_length(op, "values", values.len(), self.positions.len() * width, "N rows of D")?;
        KernelError::check_length(op, "sums", sums.len(), self.ids.len() * width, "one row for each id")?;
        if sums.is_empty() {
            return Ok(());
        }
        let parts = worth(threads, values.len());
        let mut rest = sums;
        let mut workers = Vec::with_capacity(parts);
        let mut from = 0;
        for part in 1..=parts {
            let to = self.ids.len() * part / parts;
            let (own, others) = rest.split_at_mut((to - from) * width);
            workers.push(Sums { merge: self, first: from, values, width, sums: own });
            rest = others;
            from = to;
        }
        on_each(&mut workers, |sums| dispatch(Level::best(), &mut *sums));
        Ok(())
    }

    /// The positions of each id from the one at `first` on.
    fn positions_from(&self, first: usize) -> impl Iterator<Item = &[usize]> {
        (first..self.ids.len()).map(|index| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.positions[start..self.ends[index]]
        })
    }
}

/// One thread's part: the sums of some ids, `[R, width]`, from the one at `first` on.
pub struct Sums<'a, T> {
    merge: &'a Merge,
    first: usize,
    values: &'a [T],
    width: usize,
    sums: &'a mut [T],
}

/// Columns that are added up at a time: they stay in registers.
const COLUMNS: usize = 32;

// The compiler vectorises these loops itself: no register is named, and every level gives the same
// bits.
impl<T: Element> Kernel<T> for &mut Sums<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        let Sums { merge, first, values, width, sums } = self;
        let row = |position: usize| &values[position * *width..][..*width];
        for (sum, positions) in sums.chunks_exact_mut(*width).zip(merge.positions_from(*first)) {
            if let [only] = positions {
                sum.copy_from_slice(row(*only));
                continue;
            }
            let (whole, rest) = sum.as_chunks_mut::<COLUMNS>();
            let done = whole.len() * COLUMNS;
            for (index, sum) in whole.iter_mut().enumerate() {
                let mut total = [0.0_f64; COLUMNS];
                for &position in positions {
                    let Some(row) = row(position)[index * COLUMNS..].first_chunk::<COLUMNS>() else {
                        continue;
                    };
                    for (total, &value) in total.iter_mut().zip(row) {
                        *total += value.to_f64();
                    }
                }
                for (sum, &total) in sum.iter_mut().zip(&total) {
                    *sum = T::from_f64(total);
                }
            }
            for (column, sum) in (done..).zip(rest) {
                let total: f64 = positions.iter().map(|&position| row(position)[column].to_f64()).sum();
                *sum = T::from_f64(total);
            }
        }
    }
}
