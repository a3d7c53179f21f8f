//! Rows of a table: TSV, CSV and their like.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Terminator};
use lexmax_corpus::TextReader;

use super::RawRow;
use super::checked::{CheckedBytes, Rules, unwrap};
use crate::{Column, DatasetError, Table};

/// Reads all rows; gives the reader back, at the end of the file.
pub(super) fn read(
    reader: TextReader<'static>,
    path: &Path,
    table: &Table,
    each: &mut dyn FnMut(RawRow<'_>, u64) -> Result<(), DatasetError>,
) -> Result<TextReader<'static>, DatasetError> {
    // ASCII was checked with the options.
    let rules = Rules { delimiter: table.delimiter as u8, quotes: table.has_quotes() };
    let mut rows = ReaderBuilder::new()
        .has_headers(false)
        // Told apart below, with a message of its own.
        .flexible(true)
        .delimiter(rules.delimiter)
        .quoting(rules.quotes)
        // Other line ends were made line feeds; a carriage return within a text is text.
        .terminator(Terminator::Any(b'\n'))
        .from_reader(CheckedBytes::new(reader, path, rules));
    let mut record = StringRecord::new();
    let mut columns = None;
    let mut line = 1;
    while rows.read_record(&mut record).map_err(|error| unwrap(error, path, line))? {
        line = record.position().map_or(line, csv::Position::line);
        let Some((label, text, width)) = columns else {
            let label = find(&table.label, "label", &record, table, path)?;
            let text = find(&table.text, "text", &record, table, path)?;
            columns = Some((label, text, record.len()));
            if label == text {
                let found = format!("the columns of label and text are both column {label}");
                return Err(DatasetError::row(path, line, found, "two columns"));
            }
            if !table.header {
                pass_on(&record, label, text, line, rows.get_ref().bytes(), each)?;
            }
            continue;
        };
        if record.len() != width {
            let found = format!("{} columns between {:?}", record.len(), table.delimiter);
            let expected = format!("{width}, as in the first row");
            return Err(DatasetError::row(path, line, found, expected));
        }
        pass_on(&record, label, text, line, rows.get_ref().bytes(), each)?;
    }
    Ok(rows.into_inner().into_reader())
}

fn pass_on(
    record: &StringRecord,
    label: usize,
    text: usize,
    line: u64,
    bytes: u64,
    each: &mut dyn FnMut(RawRow<'_>, u64) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    // Both lie within the width that the row was checked for.
    let field = |column: usize| record.get(column).unwrap_or_default();
    each(RawRow { label: field(label), text: field(text), line }, bytes)
}

/// Place of a column by the first row.
fn find(
    column: &Column,
    role: &str,
    first: &StringRecord,
    table: &Table,
    path: &Path,
) -> Result<usize, DatasetError> {
    match column {
        Column::Index(index) => match usize::try_from(*index) {
            Ok(index) if index < first.len() => Ok(index),
            _ => {
                let found = format!("{} columns between {:?}", first.len(), table.delimiter);
                let expected = format!("the {role} in column {index}, counted from 0");
                Err(DatasetError::row(path, 1, found, expected))
            }
        },
        Column::Name(name) => {
            let places: Vec<usize> = (0..first.len()).filter(|&at| first.get(at) == Some(name)).collect();
            match places[..] {
                [place] => Ok(place),
                _ => {
                    let names: Vec<String> = first.iter().map(|name| format!("{name:?}")).collect();
                    let found = format!("a header of {}", names.join(", "));
                    let expected = format!("the column {name:?} of the {role} once in it");
                    Err(DatasetError::row(path, 1, found, expected))
                }
            }
        }
    }
}
