//! Bytes of a table on their way to the parser, with the faults found that it would pass over.
//!
//! The parser takes a quote that never closes for a field that ends with the file, a quote within
//! a field for a character, and skips empty lines. Each hides damage, so each is an error here.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lexmax_corpus::{CorpusError, TextReader};

use super::ROW_BYTES;
use crate::DatasetError;

/// Place of the next byte in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the beginning of a field.
    Start,
    /// Inside a field without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes: the end of the field, or the first half of a doubled one.
    Closed,
}

/// Rules of the bytes of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) delimiter: u8,
    pub(super) quotes: bool,
}

/// Reader of checked bytes. Errors travel inside [`io::Error`]; [`unwrap`] takes them out.
pub(super) struct CheckedBytes {
    reader: TextReader<'static>,
    path: PathBuf,
    rules: Rules,
    at: At,
    /// First line of the row, and its bytes so far.
    row: (u64, usize),
    buffer: Vec<u8>,
    used: usize,
    ended: bool,
}

impl CheckedBytes {
    pub(super) fn new(reader: TextReader<'static>, path: &Path, rules: Rules) -> CheckedBytes {
        CheckedBytes {
            reader,
            path: path.to_path_buf(),
            rules,
            at: At::Start,
            row: (1, 0),
            buffer: Vec::new(),
            used: 0,
            ended: false,
        }
    }

    /// The reader of the file, at its end.
    pub(super) fn into_reader(self) -> TextReader<'static> {
        self.reader
    }

    /// Bytes of the file read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.reader.bytes()
    }

    /// Fills the buffer with the next piece.
    fn fill(&mut self) -> Result<(), DatasetError> {
        self.buffer.clear();
        self.used = 0;
        let Some(piece) = self.reader.next_piece()? else {
            self.ended = true;
            if self.at == At::Quoted {
                let found = "a quote that is never closed";
                return Err(DatasetError::row(
                    &self.path,
                    self.row.0,
                    found,
                    "a quote at the end of the field",
                ));
            }
            return Ok(());
        };
        self.buffer.extend_from_slice(piece.text.as_bytes());
        let (line, ends_line) = (piece.line, piece.ends_line);
        if self.row.1 == 0 {
            self.row.0 = line;
            if ends_line && self.buffer.is_empty() {
                return Err(DatasetError::row(&self.path, line, "an empty line", "a label and a text"));
            }
        }
        self.row.1 += self.buffer.len().max(1);
        if self.row.1 > ROW_BYTES {
            let expected = format!("rows of at most {ROW_BYTES} bytes, and quotes that are closed");
            return Err(DatasetError::row(&self.path, self.row.0, "a longer row", expected));
        }
        if self.rules.quotes {
            self.check_quotes(line)?;
        }
        if ends_line {
            self.buffer.push(b'\n');
            if self.at != At::Quoted {
                self.at = At::Start;
                self.row.1 = 0;
            }
        }
        Ok(())
    }

    fn check_quotes(&mut self, line: u64) -> Result<(), DatasetError> {
        for &byte in &self.buffer {
            let is_delimiter = byte == self.rules.delimiter;
            self.at = match (self.at, byte) {
                (At::Start | At::Closed, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Closed,
                (At::Quoted, _) => At::Quoted,
                (At::Plain, b'"') => {
                    let found = "a quote inside a field that does not begin with one";
                    let expected = "quotes around the field and doubled inside it, or `quotes = false`";
                    return Err(DatasetError::row(&self.path, line, found, expected));
                }
                (At::Closed, _) if !is_delimiter => {
                    let expected = "the delimiter or the end of the line, or a doubled quote";
                    return Err(DatasetError::row(&self.path, line, "text behind a closing quote", expected));
                }
                _ if is_delimiter => At::Start,
                _ => At::Plain,
            };
        }
        Ok(())
    }
}

impl Read for CheckedBytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.used == self.buffer.len() {
            if self.ended {
                return Ok(0);
            }
            self.fill().map_err(io::Error::other)?;
        }
        let count = into.len().min(self.buffer.len() - self.used);
        into[..count].copy_from_slice(&self.buffer[self.used..][..count]);
        self.used += count;
        Ok(count)
    }
}

/// Takes the error of the reader out of the parser's.
pub(super) fn unwrap(error: csv::Error, path: &Path, line: u64) -> DatasetError {
    let reason = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => match error.downcast::<DatasetError>() {
            Ok(error) => error,
            Err(source) => CorpusError::Io { action: "read", path: path.to_path_buf(), source }.into(),
        },
        _ => DatasetError::row(path, line, reason, "a row of the table"),
    }
}
