//! Checks of an update's input.

use super::merge::rising;
use super::rule::Rule;
use super::update::{Gradient, Tables};
use crate::{KernelError, Result};

const OP: &str = "optim::update";

/// Checks every condition that the sweep relies on.
pub(super) fn check<T>(rule: Rule, tables: &Tables<'_, T>, gradient: &Gradient<'_, T>) -> Result<()> {
    let length = tables.parameter.len();
    if tables.state.len() != rule.tables() {
        return Err(KernelError::argument(
            OP,
            "tables of state",
            tables.state.len(),
            rule.tables().to_string(),
        ));
    }
    if let Rule::Adam { step, .. } = rule
        && !(1.0..f64::INFINITY).contains(&step)
    {
        return Err(KernelError::argument(OP, "step", step, "a finite number from one up"));
    }
    for table in &tables.state {
        KernelError::check_length(OP, "a table of state", table.len(), length, "as the parameter")?;
    }
    let width = tables.width;
    if length > 0 && (width == 0 || !length.is_multiple_of(width)) {
        let expected = format!("a divisor of the parameter's length {length}");
        return Err(KernelError::argument(OP, "width", width, expected));
    }
    match *gradient {
        Gradient::Dense(values) => {
            KernelError::check_length(OP, "the gradient", values.len(), length, "as the parameter")
        }
        Gradient::Rows { rows, values, .. } => {
            KernelError::check_length(OP, "the gradient", values.len(), rows.len() * width, "R rows of D")?;
            let height = length.checked_div(width).unwrap_or(0);
            let inside = |row: &i64| usize::try_from(*row).is_ok_and(|row| row < height);
            // Rising: the ends stand for all.
            if let Some(row) = [rows.first(), rows.last()].into_iter().flatten().find(|row| !inside(row)) {
                return Err(KernelError::argument(OP, "row", row, format!("0 <= row < {height}")));
            }
            if !rising(rows) {
                return Err(KernelError::argument(OP, "rows", "not rising", "rising rows, each once"));
            }
            Ok(())
        }
    }
}
