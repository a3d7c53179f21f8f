//! One thread's part of an update.

use std::ops::Range;

use super::rule::Rule;
use super::update::{Gradient, Others};
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// Rows `first_row ..` of all tables, and the gradient of these rows.
pub struct Part<'a, T> {
    pub(super) rule: Rule,
    pub(super) parameter: &'a mut [T],
    /// Tables of state; empty where the rule has none.
    pub(super) first: &'a mut [T],
    pub(super) second: &'a mut [T],
    pub(super) gradient: Gradient<'a, T>,
    /// Factor of the gradient.
    pub(super) scale: T,
    pub(super) first_row: usize,
    pub(super) width: usize,
}

// The compiler vectorises these loops itself: no register is named, and every level gives the same
// bits.
impl<T: Element> Kernel<T> for &mut Part<'_, T> {
    type Out = ();

    // Moves the part by one step, in the order of the memory.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(self) {
        let Part { rule, parameter, first, second, gradient, scale, first_row, width } = self;
        let corrections = rule.corrections();
        let end = parameter.len();
        let mut run = |range: Range<usize>, gradient: Option<&[T]>| {
            let parameter = &mut parameter[range.clone()];
            let first = within(first, &range);
            let second = within(second, &range);
            match gradient {
                Some(gradient) => {
                    rule.apply(corrections, parameter, first, second, gradient.iter().map(|&g| *scale * g));
                }
                // The same expression at zero: the bits of a dense gradient that is zero there.
                None => rule.apply(corrections, parameter, first, second, std::iter::repeat(T::default())),
            }
        };
        match *gradient {
            Gradient::Dense(values) => run(0..values.len(), Some(values)),
            Gradient::Rows { rows, values, others } => {
                let mut done = 0;
                for (&row, values) in rows.iter().zip(values.chunks_exact(*width)) {
                    // Rows were checked: rising, and inside the table.
                    let from = (usize::try_from(row).unwrap_or(0) - *first_row) * *width;
                    if others == Others::Move && done < from {
                        run(done..from, None);
                    }
                    done = from + *width;
                    run(from..done, Some(values));
                }
                if others == Others::Move {
                    run(done..end, None);
                }
            }
        }
    }
}

/// The stretch of a table; nothing of a table that the rule does not keep.
#[inline(always)]
fn within<'a, T>(table: &'a mut [T], range: &Range<usize>) -> &'a mut [T] {
    if table.is_empty() { table } else { &mut table[range.clone()] }
}
