//! One optimizer step on slices, on several threads.

use super::check::check;
use super::rule::Rule;
use super::sweep::Part;
use super::worth;
use crate::pool::on_each;
use crate::simd::dispatch;
use crate::{Element, Level, Result};

/// A parameter `[V, D]` and the tables of state that go with it, all contiguous.
#[derive(Debug)]
pub struct Tables<'a, T> {
    /// The parameter.
    pub parameter: &'a mut [T],
    /// Tables of the optimizer's state, as many as [`Rule::tables`] says and in its order, each as
    /// long as the parameter.
    pub state: Vec<&'a mut [T]>,
    /// Elements of a row, `D`; for a dense gradient any divisor of the table's length.
    pub width: usize,
}

/// The gradient of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Gradient<'a, T> {
    /// Dense gradient, one element for each of the parameter's.
    Dense(&'a [T]),
    /// Row-sparse gradient: some rows; that of the others is zero.
    Rows {
        /// Rows with a gradient, `[R]`: strictly rising.
        rows: &'a [i64],
        /// Gradients of these rows, `[R, D]`.
        values: &'a [T],
        /// Treatment of the other rows.
        others: Others,
    },
}

/// Treatment of the rows without a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Step with a zero gradient: decay and momentum move these rows. Costs a pass over all tables.
    Move,
    /// No step: parameter and state stay unchanged, at no cost.
    Rest,
}

/// Moves a parameter and its state in place by one step of a rule, with `scale` times the gradient
/// (a clip factor, or 1).
///
/// Rows with a gradient, and all rows under [`Others::Move`], get the same bits as from the dense
/// gradient that has zeros elsewhere. Memory: none. At most `threads` threads work, each on rows of
/// its own.
///
/// # Errors
/// Lengths that do not fit, rows that do not rise or lie outside of the table; nothing was written
/// then.
///
/// ```
/// use lexmax_kernels::optim::{Gradient, Others, Rule, Tables, update};
///
/// let mut weight = [1.0_f32; 6];
/// let tables = Tables { parameter: &mut weight, state: vec![], width: 2 };
/// let rule = Rule::Sgd { learning_rate: 0.5, weight_decay: 0.0 };
/// update(rule, tables, Gradient::Rows { rows: &[1], values: &[2.0, 4.0], others: Others::Rest },
/// 1.0, 1)?;
/// assert_eq!(weight, [1.0, 1.0, 0.0, -1.0, 1.0, 1.0]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn update<T: Element>(
    rule: Rule,
    tables: Tables<'_, T>,
    gradient: Gradient<'_, T>,
    scale: f64,
    threads: usize,
) -> Result<()> {
    update_at(Level::best(), rule, tables, gradient, scale, threads)
}

pub(super) fn update_at<T: Element>(
    level: Level,
    rule: Rule,
    tables: Tables<'_, T>,
    gradient: Gradient<'_, T>,
    scale: f64,
    threads: usize,
) -> Result<()> {
    check(rule, &tables, &gradient)?;
    if tables.parameter.is_empty() {
        return Ok(());
    }
    let mut parts = cut(rule, tables, gradient, T::from_f64(scale), threads);
    on_each(&mut parts, |part| dispatch(level, &mut *part));
    Ok(())
}

/// Cuts the tables between rows, so that every part has as much to do.
fn cut<'a, T: Element>(
    rule: Rule,
    tables: Tables<'a, T>,
    gradient: Gradient<'a, T>,
    scale: T,
    threads: usize,
) -> Vec<Part<'a, T>> {
    let Tables { mut parameter, state, width } = tables;
    let mut state = state.into_iter();
    let mut first = state.next().unwrap_or_default();
    let mut second = state.next().unwrap_or_default();
    let height = parameter.len() / width;
    let touched = match gradient {
        Gradient::Rows { values, others: Others::Rest, .. } => values.len(),
        _ => parameter.len(),
    };
    let parts = worth(threads, touched);
    let mut made = Vec::with_capacity(parts);
    let (mut row, mut given) = (0, 0);
    for part in 1..=parts {
        // The first row that is not of this part, and how many given rows are before it.
        let (to, gradient) = match gradient {
            Gradient::Dense(values) => {
                let to = height * part / parts;
                (to, Gradient::Dense(&values[row * width..to * width]))
            }
            Gradient::Rows { rows, values, others } => {
                let last = part == parts;
                let (to, count) = match others {
                    Others::Move => {
                        let to = height * part / parts;
                        (to, rows.partition_point(|&row| usize::try_from(row).is_ok_and(|row| row < to)))
                    }
                    Others::Rest => {
                        let count = rows.len() * part / parts;
                        let next = rows.get(count).and_then(|&row| usize::try_from(row).ok());
                        (next.filter(|_| !last).unwrap_or(height), count)
                    }
                };
                let rows = &rows[given..count];
                let values = &values[given * width..count * width];
                given = count;
                (to, Gradient::Rows { rows, values, others })
            }
        };
        let length = (to - row) * width;
        made.push(Part {
            rule,
            parameter: take(&mut parameter, length),
            first: take(&mut first, length),
            second: take(&mut second, length),
            gradient,
            scale,
            first_row: row,
            width,
        });
        row = to;
    }
    made
}

/// Splits the first elements off a table; a table that the rule does not keep stays empty.
fn take<'a, T>(table: &mut &'a mut [T], length: usize) -> &'a mut [T] {
    let whole = std::mem::take(table);
    let (taken, rest) = whole.split_at_mut(length.min(whole.len()));
    *table = rest;
    taken
}
