//! One pass over the text: every token with its split and place.

use std::path::Path;

use super::assign::Assign;
use super::lines::TextReader;
use super::options::BuildOptions;
use crate::info::SourceFile;
use crate::observer::{Observer, Progress, Unit};
use crate::{CorpusError, Split};

/// Place of a token.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) split: Split,
}

/// Result of a pass.
pub(crate) struct Scanned {
    pub(crate) files: Vec<SourceFile>,
    /// Lines of each split; a line that is dealt out in tokens counts where it begins.
    pub(crate) lines: [u64; 3],
    /// Tokens of each split.
    pub(crate) tokens: [u64; 3],
}

/// Streams files and calls `each` with every token, in order. Files of splits that are not `wanted`
/// are not read.
pub(crate) fn scan(
    options: &BuildOptions,
    pass: &'static str,
    wanted: fn(Split) -> bool,
    mut assign: Assign,
    observer: &mut dyn Observer,
    mut each: impl FnMut(&str, Place<'_>) -> Result<(), CorpusError>,
) -> Result<Scanned, CorpusError> {
    // All sizes are read before the first pass, so that a missing file is known at once.
    let sized = options.input.files().into_iter().map(|(split, path)| Ok((split, path, file_size(path)?)));
    let mut sized = sized.collect::<Result<Vec<_>, CorpusError>>()?;
    sized.retain(|(split, _, _)| split.is_none_or(wanted));
    let total = sized.iter().map(|(_, _, bytes)| bytes).sum();
    let mut progress = Progress::new(observer, pass, Unit::Bytes, total);
    let mut scanned = Scanned { files: Vec::with_capacity(sized.len()), lines: [0; 3], tokens: [0; 3] };
    let mut read = 0;
    for (of_file, path, _) in sized {
        let mut reader = TextReader::open(path, options.tokenizer)?;
        let mut of_line = None;
        while let Some(piece) = reader.next_piece()? {
            let line_split = *of_line.get_or_insert_with(|| assign.next_line(of_file));
            let mut pass_on = |token: &str| {
                let split = assign.next_token(line_split);
                scanned.tokens[split.index()] += 1;
                each(token, Place { path, line: piece.line, split })
            };
            options.tokenizer.split(piece.text, &mut pass_on)?;
            if piece.ends_line {
                if let Some(eos) = options.eos.as_deref() {
                    pass_on(eos)?;
                }
                scanned.lines[line_split.index()] += 1;
                of_line = None;
            }
            progress.at(read + reader.bytes())?;
        }
        read += reader.bytes();
        scanned.files.push(reader.source(of_file));
    }
    progress.finish();
    Ok(scanned)
}

/// Bytes of a file as stored.
///
/// # Errors
/// A file that is not there, or is no regular file: texts are read by their size, and some twice.
pub fn file_size(path: &Path) -> Result<u64, CorpusError> {
    let metadata =
        std::fs::metadata(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let found = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(CorpusError::NotAFile { path: path.to_path_buf(), found })
}
