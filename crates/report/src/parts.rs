//! Pieces for reports on other things than runs, as the comparison with other packages is: text
//! tables, numbers in words, CSV, and a chart of lines over the size of the vocabulary.

pub use crate::charts::growth::{Series, Words, chart as growth_chart};
pub use crate::charts::{Chart, remove_stale, rendered};
pub use crate::format::{NONE, fixed, significant, whole};
pub use crate::markdown::{escape, of as markdown};
pub use crate::rows::TextTable;
pub use crate::tables::csv;
