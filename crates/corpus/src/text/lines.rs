//! Lines of a text file, plain or packed, in pieces of bounded size.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::format::{HEAD_BYTES, fill_head, recognise};
use super::packing::Packing;
use super::stored::{Tallied, Tally};
use super::tokenizer::Tokenizer;
use crate::info::SourceFile;
use crate::{CorpusError, Split};

/// A line longer than this is handed out in parts that cut no token.
const PIECE_BYTES: usize = 1 << 16;
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
/// Memory: 64 KiB of a line, or one token where that is longer (at most 16 MiB); a zst file needs
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
    input: Box<dyn BufRead + 'a>,
    path: PathBuf,
    packing: Packing,
    tokenizer: Tokenizer,
    stored: Tally,
    /// First bytes of the unpacked data.
    head: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that the last piece held.
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
        let file = File::open(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))?;
        TextReader::new(file, path, tokenizer)
    }
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
        Ok(TextReader {
            input: packing.unpack(Tallied { input, tally: stored.clone() }, path)?,
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
        })
    }

    /// The next piece; none at the end of the file. A last line needs no line feed; a byte order
    /// mark is skipped.
    ///
    /// # Errors
    /// Data that cannot be read or unpacked, invalid UTF-8, NUL bytes (each with the format that
    /// the first bytes show, where it is known), a token of more than 16 MiB.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, CorpusError> {
        self.buffer.drain(..self.used);
        self.offset += self.used as u64;
        self.used = 0;
        let Some(ends_line) = self.fill()? else { return Ok(None) };
        if !self.in_line {
            self.line += 1;
        }
        self.in_line = !ends_line;
        let (line, offset) = (self.line, self.offset);
        let mut bytes = &self.buffer[..self.used];
        if let Some(whole) = bytes.strip_suffix(b"\n") {
            bytes = whole.strip_suffix(b"\r").unwrap_or(whole);
        }
        let invalid = match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.contains(&0) => return Ok(Some(Piece { text, line, ends_line })),
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let nul = bytes[..invalid].iter().position(|&byte| byte == 0);
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

    /// Reads until the front of the buffer is a piece of `used` bytes; whether its line ends there,
    /// none at the end.
    fn fill(&mut self) -> Result<Option<bool>, CorpusError> {
        loop {
            let old = self.buffer.len();
            let read = (&mut self.input).take(PIECE_BYTES as u64).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| self.packing.read_error(&self.path, source))?;
            let new = &self.buffer[old..];
            self.head.extend(&new[..new.len().min(HEAD_BYTES - self.head.len())]);
            if self.offset == 0 && self.line == 0 && self.buffer.starts_with("\u{feff}".as_bytes()) {
                self.buffer.drain(..3);
                self.offset = 3;
            }
            if self.buffer.ends_with(b"\n") {
                self.used = self.buffer.len();
                return Ok(Some(true));
            }
            if read == 0 {
                if self.buffer.is_empty() && !self.in_line {
                    return Ok(None);
                }
                self.used = self.buffer.len();
                return Ok(Some(true));
            }
            if self.buffer.len() >= PIECE_BYTES
                && let Some(end) = self.cut(self.buffer.len() - read.min(self.buffer.len()))
            {
                self.used = end;
                return Ok(Some(false));
            }
            if self.buffer.len() > TOKEN_BYTES {
                let line = self.line + u64::from(!self.in_line);
                return Err(CorpusError::LongToken { path: self.path.clone(), line, limit: TOKEN_BYTES });
            }
        }
    }

    /// Finds where a part of the buffer can end. Bytes that are no text are handed out at once, to
    /// be refused; `new` is where the bytes begin that were not there at the last call.
    fn cut(&self, new: usize) -> Option<usize> {
        if self.buffer[new..].contains(&0) {
            return Some(self.buffer.len());
        }
        self.tokenizer.cut(&self.buffer, new)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sha2::{Digest, Sha256};

    fn read(bytes: &[u8], tokenizer: Tokenizer) -> Vec<(String, u64, bool)> {
        let mut reader = TextReader::new(bytes, "text.txt".as_ref(), tokenizer).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            pieces.push((piece.text.to_owned(), piece.line, piece.ends_line));
        }
        assert_eq!(reader.source(None).sha256, crate::hash::hex(&Sha256::digest(bytes)));
        assert_eq!(reader.bytes(), bytes.len() as u64);
        pieces
    }

    fn pieces(bytes: &[u8]) -> Vec<(String, u64, bool)> {
        read(bytes, Tokenizer::Words)
    }

    fn refused(bytes: &[u8]) -> String {
        let mut reader = TextReader::new(bytes, "text.txt".as_ref(), Tokenizer::Words).unwrap();
        loop {
            match reader.next_piece() {
                Ok(piece) => assert!(piece.is_some(), "read as text"),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn lines_end_with_any_line_end() {
        let expected = [("a b".to_owned(), 1, true), (String::new(), 2, true), ("c".to_owned(), 3, true)];
        assert_eq!(pieces(b"a b\n\nc\n"), expected);
        assert_eq!(pieces(b"a b\r\n\r\nc"), expected);
        assert_eq!(pieces("\u{feff}a b\n\nc\n".as_bytes()), expected);
        assert_eq!(pieces(b""), []);
        assert_eq!(pieces(b"\n"), [(String::new(), 1, true)]);
    }

    #[test]
    fn long_line_comes_in_parts_that_cut_no_word() {
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

    #[test]
    fn long_line_without_spaces_stays_in_bounded_memory() {
        for (blank, tokenizer) in
            [("\t", Tokenizer::Words), ("\u{3000}", Tokenizer::Words), ("", Tokenizer::Characters)]
        {
            let line = format!("日本語{blank}").repeat(60_000);
            let parts = read(line.as_bytes(), tokenizer);
            assert!(parts.len() > 4 && parts.iter().all(|part| part.0.len() <= 2 * PIECE_BYTES), "{blank:?}");
            assert_eq!(parts.iter().map(|part| part.0.as_str()).collect::<String>(), line);
        }
        let message = refused(&vec![b'x'; TOKEN_BYTES + PIECE_BYTES]);
        assert!(message.contains("text.txt line 1") && message.contains("16777216 bytes"), "{message}");
    }

    #[test]
    fn carriage_return_at_a_part_end_stays_with_its_line_feed() {
        let line = "y".repeat(PIECE_BYTES - 1);
        let parts = read(format!("{line}\r\nz").as_bytes(), Tokenizer::Characters);
        assert_eq!(parts.iter().map(|part| part.0.as_str()).collect::<String>(), format!("{line}z"));
    }

    #[test]
    fn nul_byte_late_in_a_long_line_is_found_at_its_place() {
        for before in [0, 70_000, 1_000_000] {
            let bytes = [b"one\ntwo\n".as_slice(), &b"ab ".repeat(before / 3), b"\0 and on"].concat();
            let message = refused(&bytes);
            let place = format!("byte {}", 8 + before / 3 * 3);
            assert!(message.contains("text.txt line 3: NUL byte: UTF-16?"), "{message}");
            assert!(message.contains(&place), "{message}");
        }
    }
}
