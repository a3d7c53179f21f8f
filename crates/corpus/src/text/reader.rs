//! Text files, plain or compressed, in pieces of bounded size.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};

use crate::{CorpusError, hash};

/// A line longer than this is handed out in parts, cut after spaces.
const PIECE_BYTES: usize = 1 << 16;
const BUFFER_BYTES: usize = 1 << 18;
/// First bytes of packed files.
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A line, or a part of a long one.
pub(crate) struct Piece<'a> {
    /// The text, without its line end. Words are never cut.
    pub(crate) text: &'a str,
    /// Line, counted from 1.
    pub(crate) line: u64,
    /// Whether the line ends here.
    pub(crate) ends_line: bool,
}

/// Reads one file by lines. Memory: a line, at most [`PIECE_BYTES`] of it where it has spaces.
pub(crate) struct TextReader {
    input: Box<dyn BufRead>,
    path: PathBuf,
    /// `gzip` or `zstd`.
    format: Option<&'static str>,
    hasher: Rc<RefCell<Sha256>>,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that the last piece held.
    used: usize,
    /// Offset of the buffer in the unpacked text.
    offset: u64,
    line: u64,
    in_line: bool,
}

impl TextReader {
    /// Opens a file; `.gz` and `.zst` are unpacked. `bar` moves by bytes of the file as stored.
    pub(crate) fn open(path: &Path, bar: &ProgressBar) -> Result<TextReader, CorpusError> {
        let file = File::open(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))?;
        let hasher = Rc::new(RefCell::new(Sha256::new()));
        let stored = Tracked { file, hasher: Rc::clone(&hasher), bar: bar.clone() };
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let (input, format): (Box<dyn BufRead>, _) = match extension.to_ascii_lowercase().as_str() {
            "gz" => {
                let stored = BufReader::with_capacity(BUFFER_BYTES, stored);
                let unpacked = flate2::bufread::MultiGzDecoder::new(stored);
                (Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)), Some("gzip"))
            }
            "zst" => {
                let unpacked = zstd::Decoder::new(stored).map_err(CorpusError::io("open", path))?;
                (Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)), Some("zstd"))
            }
            _ => (Box::new(BufReader::with_capacity(BUFFER_BYTES, stored)), None),
        };
        let path = path.to_path_buf();
        let buffer = Vec::new();
        Ok(TextReader { input, path, format, hasher, buffer, used: 0, offset: 0, line: 0, in_line: false })
    }

    /// The next piece; none at the end of the file. A last line needs no line feed; a byte order mark is skipped.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece<'_>>, CorpusError> {
        self.buffer.drain(..self.used);
        self.offset += self.used as u64;
        self.used = 0;
        let ends_line = loop {
            let read = (&mut self.input).take(PIECE_BYTES as u64).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| self.read_error(source))?;
            if self.offset == 0 && self.line == 0 && self.buffer.starts_with("\u{feff}".as_bytes()) {
                self.buffer.drain(..3);
                self.offset = 3;
            }
            if self.buffer.ends_with(b"\n") {
                self.used = self.buffer.len();
                break true;
            }
            if read == 0 {
                if self.buffer.is_empty() && !self.in_line {
                    return Ok(None);
                }
                self.used = self.buffer.len();
                break true;
            }
            // What stood in the buffer before has no space: a part ends after the last one there is.
            let before = self.buffer.len() - read.min(self.buffer.len());
            if self.buffer.len() >= PIECE_BYTES
                && let Some(space) = self.buffer[before..].iter().rposition(|&byte| byte == b' ')
            {
                self.used = before + space + 1;
                break false;
            }
        };
        if !self.in_line {
            self.line += 1;
        }
        self.in_line = !ends_line;
        let mut bytes = &self.buffer[..self.used];
        if let Some(line) = bytes.strip_suffix(b"\n") {
            bytes = line.strip_suffix(b"\r").unwrap_or(line);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| CorpusError::InvalidUtf8 {
            path: self.path.clone(),
            line: self.line,
            offset: self.offset + error.valid_up_to() as u64,
            hint: self.packed_hint(),
        })?;
        Ok(Some(Piece { text, line: self.line, ends_line }))
    }

    /// Lines begun so far.
    pub(crate) fn lines(&self) -> u64 {
        self.line
    }

    /// SHA-256 of the bytes read so far as stored: of the whole file, at its end.
    pub(crate) fn sha256(&self) -> String {
        hash::hex(&self.hasher.borrow().clone().finalize())
    }

    /// Where plain text is expected and a packed file is read, its first bytes are no UTF-8 and say so.
    fn packed_hint(&self) -> &'static str {
        let starts =
            |magic: &[u8]| self.format.is_none() && self.offset == 0 && self.buffer.starts_with(magic);
        if starts(GZIP) {
            "; the file starts like gzip data, expected a name that ends in .gz for that"
        } else if starts(ZSTD) {
            "; the file starts like zstd data, expected a name that ends in .zst for that"
        } else {
            ""
        }
    }

    fn read_error(&self, source: io::Error) -> CorpusError {
        let path = self.path.clone();
        match self.format {
            // What the system cannot read carries its error number; what a decoder cannot read does not.
            Some(format) if source.raw_os_error().is_none() => {
                CorpusError::Compressed { path, format, source }
            }
            _ => CorpusError::Io { action: "read", path, source },
        }
    }
}

/// The stored file: hashes what is read and moves the progress bar.
struct Tracked {
    file: File,
    hasher: Rc<RefCell<Sha256>>,
    bar: ProgressBar,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.borrow_mut().update(&buffer[..read]);
        self.bar.inc(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pieces(bytes: &[u8]) -> Vec<(String, u64, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = TextReader::open(&path, &ProgressBar::hidden()).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            pieces.push((piece.text.to_owned(), piece.line, piece.ends_line));
        }
        assert_eq!(reader.sha256(), hash::hex(&Sha256::digest(bytes)));
        pieces
    }

    #[test]
    fn lines_with_any_line_end() {
        let expected = [("a b".to_owned(), 1, true), (String::new(), 2, true), ("c".to_owned(), 3, true)];
        assert_eq!(pieces(b"a b\n\nc\n"), expected);
        assert_eq!(pieces(b"a b\r\n\r\nc"), expected);
        assert_eq!(pieces("\u{feff}a b\n\nc\n".as_bytes()), expected);
        assert_eq!(pieces(b""), []);
        assert_eq!(pieces(b"\n"), [(String::new(), 1, true)]);
    }

    #[test]
    fn a_long_line_comes_in_parts_that_do_not_cut_words() {
        let line = "alpha beta ".repeat(20_000);
        let parts = pieces(format!("{line}\nend").as_bytes());
        assert!(parts.len() > 4 && parts.iter().all(|part| part.0.len() <= 2 * PIECE_BYTES));
        let (last, long) = parts.split_last().unwrap();
        assert_eq!(*last, ("end".to_owned(), 2, true));
        assert!(long.iter().all(|part| part.1 == 1));
        assert_eq!(long.iter().filter(|part| part.2).count(), 1);
        assert!(long.last().unwrap().2);
        assert_eq!(long.iter().map(|part| part.0.as_str()).collect::<String>(), line);
        // A word longer than a piece stays whole.
        let word = "x".repeat(3 * PIECE_BYTES);
        assert_eq!(pieces(word.as_bytes()), [(word.clone(), 1, true)]);
        // A line that ends just where a part ends still ends once.
        let exact = format!("{} ", "y".repeat(PIECE_BYTES - 1));
        let parts = pieces(exact.as_bytes());
        assert_eq!(parts.iter().filter(|part| part.2).count(), 1);
        assert!(parts.last().unwrap().2);
    }
}
