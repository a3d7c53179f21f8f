//! Rows of JSON Lines: one object a line.

use std::path::Path;

use lexmax_corpus::TextReader;
use serde_json::{Map, Value};

use super::{ROW_BYTES, RawRow};
use crate::{DatasetError, Json};

/// Reads all rows; gives the reader back, at the end of the file.
pub(super) fn read(
    mut reader: TextReader<'static>,
    path: &Path,
    json: &Json,
    each: &mut dyn FnMut(RawRow<'_>, u64) -> Result<(), DatasetError>,
) -> Result<TextReader<'static>, DatasetError> {
    let mut row = String::new();
    while let Some(piece) = reader.next_piece()? {
        let (line, ends_line) = (piece.line, piece.ends_line);
        row.push_str(piece.text);
        if row.len() > ROW_BYTES {
            let expected = format!("rows of at most {ROW_BYTES} bytes");
            return Err(DatasetError::row(path, line, "a longer row", expected));
        }
        if !ends_line {
            continue;
        }
        let expected = "one JSON object a line, as {\"label\": \"a\", \"text\": \"b\"}";
        let object: Map<String, Value> = serde_json::from_str(&row)
            .map_err(|error| DatasetError::row(path, line, error.to_string(), expected))?;
        let label = match object.get(&json.label) {
            Some(Value::String(label)) => label.clone(),
            Some(Value::Number(label)) if label.is_i64() || label.is_u64() => label.to_string(),
            other => {
                return Err(missing(path, line, "label", &json.label, other, "a string or a whole number"));
            }
        };
        let text = match object.get(&json.text) {
            Some(Value::String(text)) => text,
            other => return Err(missing(path, line, "text", &json.text, other, "a string")),
        };
        each(RawRow { label: &label, text, line }, reader.bytes())?;
        row.clear();
    }
    Ok(reader)
}

fn missing(path: &Path, line: u64, role: &str, key: &str, found: Option<&Value>, kind: &str) -> DatasetError {
    let found = match found {
        None => format!("no key {key:?}"),
        Some(value) => format!("{key:?} is {value}"),
    };
    DatasetError::row(path, line, found, format!("{kind} as the {role}"))
}
