//! Readers of labelled rows, a file a format.

mod checked;
mod json;
mod table;

use std::path::Path;

use lexmax_corpus::{SourceFile, Split, TextReader, Tokenizer};

use crate::{DatasetError, Format};

/// Most bytes of a row: beyond this a file is no list of examples.
const ROW_BYTES: usize = 1 << 24;

/// One row of a file.
pub(crate) struct RawRow<'a> {
    pub(crate) label: &'a str,
    pub(crate) text: &'a str,
    /// First line, counted from 1.
    pub(crate) line: u64,
}

/// Reads a file and calls `each` with every row and the bytes read so far.
pub(crate) fn read_file(
    path: &Path,
    split: Split,
    format: &Format,
    each: &mut dyn FnMut(RawRow<'_>, u64) -> Result<(), DatasetError>,
) -> Result<SourceFile, DatasetError> {
    // Rows may be cut anywhere on their way in: they are joined again.
    let reader = TextReader::open(path, Tokenizer::Characters)?;
    let mut checked = |row: RawRow<'_>, bytes: u64| {
        check(path, &row)?;
        each(row, bytes)
    };
    let reader = match format {
        Format::Table(table) => table::read(reader, path, table, &mut checked)?,
        Format::Json(json) => json::read(reader, path, json, &mut checked)?,
    };
    Ok(reader.source(Some(split)))
}

/// Refuses rows without a label or a text, and characters that a vocabulary cannot hold.
fn check(path: &Path, row: &RawRow<'_>) -> Result<(), DatasetError> {
    let refuse = |found: String, expected| Err(DatasetError::row(path, row.line, found, expected));
    if row.label.is_empty() || row.label != row.label.trim() || row.label.contains(['\n', '\r']) {
        let expected = "a label on one line that is not empty, without white space at its ends";
        return refuse(format!("label {:?}", row.label), expected);
    }
    if row.text.trim().is_empty() {
        return refuse(format!("text {:?} of label {:?}", row.text, row.label), "a text that is not empty");
    }
    if row.label.contains('\0') || row.text.contains('\0') {
        return refuse("a NUL character".to_owned(), "text without NULs");
    }
    Ok(())
}
