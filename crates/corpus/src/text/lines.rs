//! Lines of a text file, plain or packed, in pieces of bounded size.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memchr::memchr;

use super::ahead::ReadAhead;
use super::format::{HEAD_BYTES, fill_head, recognise};
use super::packing::Packing;
use super::stored::{Tallied, Tally};
use super::tokenizer::Tokenizer;
use crate::info::SourceFile;
use crate::{CorpusError, Split};

/// A line longer than this is handed out in parts that cut no token.
const PIECE_BYTES: usize = 1 << 16;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;
/// Most bytes of a token.
const TOKEN_BYTES: usize = 1 << 24;

/// A line of text, or a part of a long one.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The text, without its line end. Tokens are never cut.
    pub text: &'a str,
    /// Line, counted from 1.
    pub line: u64,
    /// Whether the line ends here.
    pub ends_line: bool,
}

/// Reads one text file by lines; names that end in `.gz` and `.zst` are unpacked.
///
/// Memory: 256 KiB, or one token where that is longer (at most 16 MiB); a zst file needs
/// the window that it was packed with beside (8 MiB where `--long` was not used, at most 2 GiB).
///
/// ```
/// use lexmax_corpus::{TextReader, Tokenizer};
/// # fn main() -> Result<(), lexmax_corpus::CorpusError> {
/// let bytes = "the cat\r\nsat".as_bytes();
/// let mut reader = TextReader::new(bytes, "cat.txt".as_ref(), Tokenizer::Words)?;
/// let mut lines = Vec::new();
/// while let Some(piece) = reader.next_piece()? {
///     lines.push(piece.text.to_owned());
/// }
/// assert_eq!(lines, ["the cat", "sat"]);
/// # Ok(())
/// # }
/// ```
pub struct TextReader<'a> {
    input: Box<dyn Read + 'a>,
    /// Whether the input has no more bytes.
    ended: bool,
    /// Error that ended the input, told once the lines before it are.
    failed: Option<std::io::Error>,
    path: PathBuf,
    packing: Packing,
    tokenizer: Tokenizer,
    stored: Tally,
    /// First bytes of the unpacked data.
    head: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were handed out.
    used: usize,
    /// Offset of the buffer in the unpacked data.
    offset: u64,
    line: u64,
    in_line: bool,
}

impl TextReader<'static> {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that cannot be opened, or is not packed as its name says.
    pub fn open(path: &Path, tokenizer: Tokenizer) -> Result<TextReader<'static>, CorpusError> {
        TextReader::new(open_file(path)?, path, tokenizer)
    }

    /// Opens a file that a thread of its own reads and unpacks ahead.
    pub(crate) fn open_ahead(path: &Path, tokenizer: Tokenizer) -> Result<TextReader<'static>, CorpusError> {
        let (packing, stored) = (Packing::of_name(path), Tally::default());
        let unpacked = packing.unpack(Tallied { input: open_file(path)?, tally: stored.clone() }, path)?;
        let ahead = ReadAhead::new(unpacked).map_err(CorpusError::io("start a thread that reads", path))?;
        Ok(TextReader::of(Box::new(ahead), packing, stored, path, tokenizer))
    }
}

fn open_file(path: &Path) -> Result<File, CorpusError> {
    File::open(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))
}

impl<'a> TextReader<'a> {
    /// Reads the bytes of a file whose name `path` says how it is packed, and which messages name.
    ///
    /// # Errors
    /// Bytes that cannot be read, or are not packed as the name says.
    pub fn new(
        input: impl Read + 'a,
        path: &Path,
        tokenizer: Tokenizer,
    ) -> Result<TextReader<'a>, CorpusError> {
        let (packing, stored) = (Packing::of_name(path), Tally::default());
        let unpacked = packing.unpack(Tallied { input, tally: stored.clone() }, path)?;
        Ok(TextReader::of(Box::new(unpacked), packing, stored, path, tokenizer))
    }

    fn of(
        input: Box<dyn Read + 'a>,
        packing: Packing,
        stored: Tally,
        path: &Path,
        tokenizer: Tokenizer,
    ) -> TextReader<'a> {
        TextReader {
            input,
            ended: false,
            failed: None,
            path: path.to_path_buf(),
            packing,
            tokenizer,
            stored,
            head: Vec::new(),
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            line: 0,
            in_line: false,
        }
    }

    /// The next piece; none at the end of the file. A last line needs no line feed; a byte order
    /// mark is skipped.
    ///
    /// # Errors
    /// Data that cannot be read or unpacked, invalid UTF-8, NUL bytes (each with the format that
    /// the first bytes show, where it is known), a token of more than 16 MiB.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, CorpusError> {
        let Some((length, ends_line)) = self.find()? else { return Ok(None) };
        let start = self.used;
        self.used += length;
        if !self.in_line {
            self.line += 1;
        }
        self.in_line = !ends_line;
        let mut bytes = &self.buffer[start..self.used];
        if let Some(whole) = bytes.strip_suffix(b"\n") {
            bytes = whole.strip_suffix(b"\r").unwrap_or(whole);
        }
        let (line, offset) = (self.line, self.offset + start as u64);
        let invalid = match std::str::from_utf8(bytes) {
            Ok(text) if memchr(0, bytes).is_none() => return Ok(Some(Piece { text, line, ends_line })),
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let nul = memchr(0, &bytes[..invalid]);
        fill_head(&mut self.head, &mut self.input);
        let format = recognise(&self.head);
        let hint =
            format.as_ref().map_or(String::new(), |format| format.hint(self.packing != Packing::Plain));
        let path = self.path.clone();
        Err(match nul {
            None => CorpusError::InvalidUtf8 { path, line, offset: offset + invalid as u64, hint },
            Some(nul) => {
                let wide = format.is_none_or(|format| format.is_encoding());
                let guess = if wide { ": UTF-16?" } else { "" };
                CorpusError::NulByte { path, line, offset: offset + nul as u64, guess, hint }
            }
        })
    }

    /// Finds the next piece in the buffer, reading what it takes: its length, its line end
    /// included, and whether its line ends there; none at the end.
    fn find(&mut self) -> Result<Option<(usize, bool)>, CorpusError> {
        let mut length = 0;
        loop {
            let mut new = &self.buffer[self.used + length..];
            let mut line_end = memchr(b'\n', &new[..new.len().min(PIECE_BYTES)]);
            if line_end.is_none() && new.len() < PIECE_BYTES {
                self.read_more();
                // These bytes alone are looked at twice.
                new = &self.buffer[self.used + length..];
                line_end = memchr(b'\n', &new[..new.len().min(PIECE_BYTES)]);
            }
            if let Some(end) = line_end {
                return Ok(Some((length + end + 1, true)));
            }
            let read = new.len().min(PIECE_BYTES);
            if read < PIECE_BYTES
                && let Some(source) = self.failed.take()
            {
                return Err(self.packing.read_error(&self.path, source));
            }
            length += read;
            if read == 0 {
                let nothing = length == 0 && !self.in_line;
                return Ok((!nothing).then_some((length, true)));
            }
            if length >= PIECE_BYTES
                && let Some(end) = self.cut(length, length - read)
            {
                return Ok(Some((end, false)));
            }
            if length > TOKEN_BYTES {
                let line = self.line + u64::from(!self.in_line);
                return Err(CorpusError::LongToken { path: self.path.clone(), line, limit: TOKEN_BYTES });
            }
        }
    }

    /// Reads until the buffer has [`PIECE_BYTES`] and more of new bytes, or the input ends.
    fn read_more(&mut self) {
        if self.ended {
            return;
        }
        self.buffer.drain(..self.used);
        self.offset += self.used as u64;
        self.used = 0;
        let old = self.buffer.len();
        let read = (&mut self.input).take(READ_BYTES as u64).read_to_end(&mut self.buffer);
        let new = &self.buffer[old..];
        self.head.extend(&new[..new.len().min(HEAD_BYTES - self.head.len())]);
        if self.offset == 0 && old == 0 && self.buffer.starts_with("\u{feff}".as_bytes()) {
            self.used = 3;
        }
        self.ended = !matches!(read, Ok(1..));
        self.failed = read.err();
    }

    /// Finds where a part of the next `length` bytes can end. Bytes that are no text are handed out
    /// at once, to be refused; `new` is where the bytes begin that were not there at the last call.
    fn cut(&self, length: usize, new: usize) -> Option<usize> {
        let bytes = &self.buffer[self.used..self.used + length];
        if memchr(0, &bytes[new..]).is_some() {
            return Some(length);
        }
        self.tokenizer.cut(bytes, new)
    }

    /// Bytes read so far, as stored.
    pub fn bytes(&self) -> u64 {
        self.stored.bytes()
    }

    /// Description of what was read so far: of the whole file, at its end.
    pub fn source(&self, split: Option<Split>) -> SourceFile {
        let file = self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (bytes, lines, sha256) = (self.stored.bytes(), self.line, self.stored.sha256());
        SourceFile { file, split, bytes, lines, sha256 }
    }
}
