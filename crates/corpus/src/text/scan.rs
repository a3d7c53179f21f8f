//! One pass over the text: every token with its split and place.

use std::path::Path;

use super::assign::Assign;
use super::options::BuildOptions;
use super::reader::TextReader;
use crate::info::SourceFile;
use crate::{CorpusError, Split, progress, stop};

/// Where a token stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) split: Split,
}

/// What a pass saw.
pub(crate) struct Scanned {
    pub(crate) files: Vec<SourceFile>,
    /// Lines of each split.
    pub(crate) lines: [u64; 3],
}

/// Streams all files and calls `each` with every token, in order. `wanted` says which splits to look into: the files
/// of other splits are not read, their lines are skipped.
pub(crate) fn scan(
    options: &BuildOptions,
    message: &'static str,
    wanted: fn(Split) -> bool,
    mut each: impl FnMut(&str, Place<'_>) -> Result<(), CorpusError>,
) -> Result<Scanned, CorpusError> {
    // All sizes are read before the first pass, so that a missing file is known at once.
    let sized = options.input.files().into_iter().map(|(split, path)| Ok((split, path, size(path)?)));
    let mut sized = sized.collect::<Result<Vec<_>, CorpusError>>()?;
    sized.retain(|(split, _, _)| split.is_none_or(wanted));
    let bar = progress::bytes(sized.iter().map(|(_, _, bytes)| bytes).sum(), message);
    let mut assign = Assign::new(&options.input);
    let mut scanned = Scanned { files: Vec::with_capacity(sized.len()), lines: [0; 3] };
    for (of_file, path, bytes) in sized {
        let mut reader = TextReader::open(path, &bar)?;
        scan_file(
            options,
            path,
            &mut reader,
            || assign.next_line(of_file),
            wanted,
            &mut scanned.lines,
            &mut each,
        )?;
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (lines, sha256) = (reader.lines(), reader.sha256());
        scanned.files.push(SourceFile { file, split: of_file, bytes, lines, sha256 });
    }
    bar.finish_and_clear();
    Ok(scanned)
}

fn scan_file(
    options: &BuildOptions,
    path: &Path,
    reader: &mut TextReader,
    mut next_line: impl FnMut() -> Split,
    wanted: fn(Split) -> bool,
    lines: &mut [u64; 3],
    each: &mut impl FnMut(&str, Place<'_>) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let mut current = None;
    while let Some(piece) = reader.next_piece()? {
        stop::check()?;
        let split = *current.get_or_insert_with(&mut next_line);
        let place = Place { path, line: piece.line, split };
        if wanted(split) {
            options.tokenizer.split(piece.text, |token| each(token, place))?;
        }
        if piece.ends_line {
            if let Some(eos) = options.eos.as_deref().filter(|_| wanted(split)) {
                each(eos, place)?;
            }
            lines[split.index()] += 1;
            current = None;
        }
    }
    Ok(())
}

fn size(path: &Path) -> Result<u64, CorpusError> {
    let metadata =
        std::fs::metadata(path).map_err(CorpusError::open(path, "a text file, plain, .gz or .zst"))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let found = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(CorpusError::NotAFile { path: path.to_path_buf(), found })
}
