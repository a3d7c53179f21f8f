//! The one reading of the text: its words, its files, and where lines end.

use std::path::Path;

use super::lines::TextReader;
use super::options::BuildOptions;
use super::spool::{Spool, Symbol};
use super::words::Words;
use crate::CorpusError;
use crate::info::SourceFile;
use crate::observer::{Observer, Progress, Unit};
use crate::vocab::VOCAB_FILE;

/// A text that was read.
pub(crate) struct ReadText {
    /// Distinct words; `eos` is the first where it was given, whatever the text has.
    pub(crate) words: Words,
    pub(crate) spool: Spool,
    pub(crate) files: Vec<SourceFile>,
}

/// Reads all files, in order, and spools the numbers of their words in `folder`.
pub(crate) fn read(
    options: &BuildOptions,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<ReadText, CorpusError> {
    // All sizes are read before the first file, so that a missing one is known at once.
    let sized = options.input.files().into_iter().map(|(split, path)| Ok((split, path, file_size(path)?)));
    let sized = sized.collect::<Result<Vec<_>, CorpusError>>()?;
    let total = sized.iter().map(|(_, _, bytes)| bytes).sum();
    let mut progress = Progress::new(observer, "reading", Unit::Bytes, total);
    let mut words = Words::default();
    let mut spool = Spool::create(folder)?;
    let mut files = Vec::with_capacity(sized.len());
    if let Some(eos) = &options.eos {
        number(&mut words, eos, folder)?;
    }
    let mut before = 0;
    for (split, path, _) in sized {
        let mut reader = TextReader::open_ahead(path, options.tokenizer)?;
        while let Some(piece) = reader.next_piece()? {
            options
                .tokenizer
                .split(piece.text, |token| spool.push(Symbol::Word(number(&mut words, token, folder)?)))?;
            if piece.ends_line {
                spool.push(Symbol::LineEnd)?;
            }
            progress.at(before + reader.bytes())?;
        }
        spool.push(Symbol::FileEnd)?;
        before += reader.bytes();
        files.push(reader.source(split));
    }
    progress.finish();
    Ok(ReadText { words, spool, files })
}

#[inline]
fn number(words: &mut Words, word: &str, folder: &Path) -> Result<u32, CorpusError> {
    words.number(word).ok_or_else(|| CorpusError::Vocab {
        path: folder.join(VOCAB_FILE),
        line: words.len() as u64 + 1,
        reason: "more words than u32 ids".to_owned(),
    })
}

/// Bytes of a file as stored.
///
/// # Errors
/// A file that is not there, or is no regular file: progress through texts is told by their size.
pub fn file_size(path: &Path) -> Result<u64, CorpusError> {
    let metadata =
        std::fs::metadata(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let found = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(CorpusError::NotAFile { path: path.to_path_buf(), found })
}
