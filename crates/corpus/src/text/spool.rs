//! The text as numbers of its words, kept in a temporary file between reading and writing.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::ahead::fill;
#[cfg(doc)]
use super::words::MOST;
use crate::CorpusError;

/// Units that are written and read at a time.
const BUFFER_UNITS: usize = 1 << 15;
/// Codes below this are marks; words follow.
const MARKS: u32 = 2;
/// Units from here on begin a code of two units, the first of which adds the high bits.
const TWO: u16 = 0xf000;
/// Unit before a code of two further units.
const THREE: u16 = u16::MAX;
/// The first code that two units do not hold.
const BEYOND_TWO: u32 = ((THREE - TWO) as u32) << 16;

/// Symbol of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// A line ends.
    LineEnd,
    /// A file ends.
    FileEnd,
    /// The word of a number.
    Word(u32),
}

/// Temporary file of symbols, written once and read any number of times; it has no name where the
/// system allows that, and ends with its process.
///
/// The first 61,438 words, which the frequent ones are among, take two bytes each, the others four
/// or six: of words, the file is smaller than the text. Memory: one buffer.
pub(crate) struct Spool {
    file: File,
    /// The folder, for messages.
    folder: PathBuf,
    buffer: Vec<u16>,
    symbols: u64,
}

impl Spool {
    /// Empty spool in `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Spool, CorpusError> {
        let file =
            tempfile::tempfile_in(folder).map_err(CorpusError::io("make a temporary file in", folder))?;
        let buffer = Vec::with_capacity(BUFFER_UNITS + 2);
        Ok(Spool { file, folder: folder.to_path_buf(), buffer, symbols: 0 })
    }

    /// Adds a symbol; words have numbers less than [`MOST`].
    #[inline]
    pub(crate) fn push(&mut self, symbol: Symbol) -> Result<(), CorpusError> {
        let code = match symbol {
            Symbol::LineEnd => 0,
            Symbol::FileEnd => 1,
            Symbol::Word(number) => number + MARKS,
        };
        let (high, low) = ((code >> 16) as u16, code as u16);
        if code < u32::from(TWO) {
            self.buffer.push(low);
        } else if code < BEYOND_TWO {
            self.buffer.extend([TWO + high, low]);
        } else {
            self.buffer.extend([THREE, high, low]);
        }
        self.symbols += 1;
        if self.buffer.len() >= BUFFER_UNITS { self.flush() } else { Ok(()) }
    }

    /// Number of symbols.
    pub(crate) fn symbols(&self) -> u64 {
        self.symbols
    }

    /// Calls `each` with every symbol, in order.
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(Symbol) -> Result<(), CorpusError>,
    ) -> Result<(), CorpusError> {
        self.flush()?;
        let failed = |source| CorpusError::io("read a temporary file in", &self.folder)(source);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut bytes = vec![0; 2 * BUFFER_UNITS];
        // Units that the code at hand still lacks, and those before.
        let (mut lacks, mut code) = (0, 0_u32);
        loop {
            // Full but at the end, so that no unit is cut.
            let (read, error) = fill(&mut file, &mut bytes);
            error.map_or(Ok(()), |error| Err(failed(error)))?;
            if read == 0 {
                break;
            }
            for unit in bytes[..read].as_chunks::<2>().0 {
                let unit = u16::from_le_bytes(*unit);
                if lacks == 0 {
                    (lacks, code) = match unit {
                        ..TWO => {
                            each(symbol_of(u32::from(unit)))?;
                            continue;
                        }
                        TWO..THREE => (1, u32::from(unit - TWO)),
                        THREE => (2, 0),
                    };
                    continue;
                }
                code = code << 16 | u32::from(unit);
                lacks -= 1;
                if lacks == 0 {
                    each(symbol_of(code))?;
                }
            }
        }
        // What is pushed next goes to the end again.
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CorpusError> {
        let bytes: Vec<u8> = self.buffer.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        self.buffer.clear();
        self.file.write_all(&bytes).map_err(CorpusError::io("write a temporary file in", &self.folder))
    }
}

#[inline]
fn symbol_of(code: u32) -> Symbol {
    match code {
        0 => Symbol::LineEnd,
        1 => Symbol::FileEnd,
        _ => Symbol::Word(code - MARKS),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::words::MOST;
    use super::*;

    fn contents(spool: &mut Spool) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        spool
            .read(|symbol| {
                symbols.push(symbol);
                Ok(())
            })
            .unwrap();
        symbols
    }

    #[test]
    fn symbols_of_every_length_come_back_as_often_as_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path()).unwrap();
        let mut pushed = vec![Symbol::LineEnd, Symbol::FileEnd];
        for bits in 0..32 {
            let number = 1_u32 << bits;
            pushed.extend([number - 1, number, number + 1].map(Symbol::Word));
        }
        for limit in [u32::from(TWO), BEYOND_TWO, MOST] {
            pushed.extend((limit - 4..limit).map(Symbol::Word));
        }
        // More than a buffer, with symbols across its ends.
        let pushed = pushed.repeat(3001);
        for &symbol in &pushed {
            spool.push(symbol).unwrap();
        }
        assert_eq!(spool.symbols(), pushed.len() as u64);
        assert!(contents(&mut spool) == pushed);
        assert!(contents(&mut spool) == pushed);
    }

    #[test]
    fn spool_leaves_nothing_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path()).unwrap();
        assert_eq!(contents(&mut spool), []);
        spool.push(Symbol::Word(7)).unwrap();
        assert_eq!(contents(&mut spool), [Symbol::Word(7)]);
        drop(spool);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn error_of_the_reader_ends_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(folder.path()).unwrap();
        spool.push(Symbol::Word(1)).unwrap();
        spool.push(Symbol::Word(2)).unwrap();
        let mut seen = 0;
        let ended = spool.read(|_| {
            seen += 1;
            Err(CorpusError::Interrupted)
        });
        assert!(matches!(ended, Err(CorpusError::Interrupted)) && seen == 1);
    }
}
