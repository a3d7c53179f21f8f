//! The confusion matrix off its diagonal, kept as the cells that occur.

use std::collections::HashMap;

/// A cell of the confusion matrix off its diagonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Confused {
    /// True class.
    pub target: u32,
    /// Class predicted instead.
    pub predicted: u32,
    /// Rows with both.
    pub rows: u64,
}

/// Counts of wrong predictions. Memory: the cells that occur, at most one for each wrong row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confusion(HashMap<(u32, u32), u64>);

impl Confusion {
    /// Counts a row whose prediction is wrong.
    pub(crate) fn add(&mut self, target: u32, predicted: u32) {
        *self.0.entry((target, predicted)).or_default() += 1;
    }

    /// The `most` largest cells, by falling count; cells of equal count by target, then prediction.
    pub(crate) fn largest(&self, most: usize) -> Vec<Confused> {
        let cells = self.0.iter().map(|(&(target, predicted), &rows)| Confused { target, predicted, rows });
        let mut cells: Vec<Confused> = cells.collect();
        cells.sort_unstable_by_key(|cell| (std::cmp::Reverse(cell.rows), cell.target, cell.predicted));
        cells.truncate(most);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_cells_come_by_count_then_by_classes() {
        let mut confusion = Confusion::default();
        for (target, predicted) in [(3, 1), (0, 2), (3, 1), (0, 1), (2, 0)] {
            confusion.add(target, predicted);
        }
        let cell = |target, predicted, rows| Confused { target, predicted, rows };
        assert_eq!(confusion.largest(3), [cell(3, 1, 2), cell(0, 1, 1), cell(0, 2, 1)]);
        assert_eq!(confusion.largest(9).len(), 4);
    }
}
