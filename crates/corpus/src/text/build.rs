//! Text files to a corpus directory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::count::{Counts, Ids};
use super::options::{BuildOptions, TextInput};
use super::scan::{Scanned, scan};
use crate::info::{CorpusInfo, Origin, RatioInfo, SplitInfo, Splits, TokenizerInfo};
use crate::staging::{Staging, name_of};
use crate::vocab::VOCAB_FILE;
use crate::{Corpus, CorpusError, Split};

/// Builds a corpus directory at `out` from text files.
///
/// Two streaming passes: the first counts the words of the training split, the second writes ids. Memory: the
/// vocabulary (before `min_count` and `max_vocab`) and a line. Progress goes to standard error where that is a
/// terminal. The directory appears when it is complete.
///
/// The vocabulary is the training words (and `eos`, `unk`), by falling count, words of equal count in byte order.
///
/// # Errors
/// Options that cannot be used, files that cannot be read, damaged .gz or .zst data, invalid UTF-8, no training tokens,
/// a word outside the vocabulary without `unk`, a held-out split whose files or share give it no token, an `out` that
/// exists, an interrupt ([`crate::stop_building`]).
pub fn build(options: &BuildOptions, out: &Path) -> Result<Corpus, CorpusError> {
    options.validate()?;
    let staging = Staging::new(out)?;
    let mut counts = Counts::default();
    let counted = scan(
        options,
        "counting",
        |split| split == Split::Train,
        |token, _| {
            counts.add(token);
            Ok(())
        },
    )?;
    if counts.total() == 0 {
        return Err(CorpusError::EmptyTrain { sources: sources_of(&options.input, Split::Train) });
    }
    let (words, word_counts) = counts.select(options);
    let mut ids = Ids::new(words, word_counts, options.unk.as_deref());
    let mut writers = SplitWriters::create(staging.dir())?;
    let written = scan(
        options,
        "writing ids",
        |_| true,
        |token, place| match ids.get(token) {
            Some(id) => writers.push(place.split, id),
            None => {
                let (word, path) = (token.to_owned(), place.path.to_path_buf());
                Err(CorpusError::OutOfVocabulary { word, path, line: place.line })
            }
        },
    )?;
    check_unchanged(options, &counted, &written)?;
    let sizes = writers.finish(&written.lines)?;
    check_held_out(&options.input, &sizes)?;
    let vocab = ids.into_vocab().map_err(|(entry, reason)| CorpusError::Vocab {
        path: staging.dir().join(VOCAB_FILE),
        line: entry as u64 + 1,
        reason,
    })?;
    vocab.write(staging.dir())?;

    let name = options.name.clone().unwrap_or_else(|| name_of(out));
    let ratio = match options.input {
        TextInput::Splits { .. } => None,
        TextInput::Ratio { valid, test, block_lines, .. } => Some(RatioInfo { valid, test, block_lines }),
    };
    let origin = Origin::Text { ratio, files: written.files };
    let mut info = CorpusInfo::new(name, vocab.len() as u64, Splits::from_sizes(sizes), origin);
    info.tokenizer = Some(TokenizerInfo {
        kind: options.tokenizer,
        min_count: options.min_count,
        max_vocab: options.max_vocab.map(|words| words as u64),
        unk: options.unk.clone(),
        eos: options.eos.clone(),
    });
    staging.finish(info)
}

/// The files that a split's tokens should have come from.
fn sources_of(input: &TextInput, of: Split) -> String {
    let files = input.files().into_iter().filter(|(split, _)| split.is_none_or(|split| split == of));
    let names: Vec<String> = files.map(|(_, path)| path.display().to_string()).collect();
    if names.is_empty() { "no files".to_owned() } else { names.join(", ") }
}

/// Both passes must have read the same bytes: else counts and ids tell of different texts.
fn check_unchanged(options: &BuildOptions, counted: &Scanned, written: &Scanned) -> Result<(), CorpusError> {
    // The first pass reads no files of valid and test; the training files come first in both.
    let paths = options.input.files();
    for ((first, second), (_, path)) in counted.files.iter().zip(&written.files).zip(paths) {
        if first != second {
            return Err(CorpusError::Changed { path: path.clone() });
        }
    }
    Ok(())
}

/// A held-out split that was asked for must have tokens; one without files is meant to be empty.
fn check_held_out(input: &TextInput, sizes: &[SplitInfo; 3]) -> Result<(), CorpusError> {
    let lines = sizes.iter().map(|size| size.lines).sum();
    for split in [Split::Valid, Split::Test] {
        if sizes[split.index()].tokens > 0 {
            continue;
        }
        match input {
            TextInput::Ratio { valid, test, block_lines, .. } => {
                let ratio = if split == Split::Valid { *valid } else { *test };
                return Err(CorpusError::EmptySplit { split, ratio, lines, block_lines: *block_lines });
            }
            TextInput::Splits { valid, test, .. } => {
                let files = if split == Split::Valid { valid } else { test };
                if !files.is_empty() {
                    return Err(CorpusError::EmptyFiles { split, sources: sources_of(input, split) });
                }
            }
        }
    }
    Ok(())
}

/// The token files in the making.
struct SplitWriters<'a> {
    dir: &'a Path,
    files: [BufWriter<File>; 3],
    tokens: [u64; 3],
}

impl<'a> SplitWriters<'a> {
    fn create(dir: &'a Path) -> Result<Self, CorpusError> {
        let create = |split: Split| {
            let path = dir.join(split.token_file());
            File::create(&path).map(BufWriter::new).map_err(CorpusError::io("create", &path))
        };
        let files = [create(Split::Train)?, create(Split::Valid)?, create(Split::Test)?];
        Ok(SplitWriters { dir, files, tokens: [0; 3] })
    }

    fn push(&mut self, split: Split, id: u32) -> Result<(), CorpusError> {
        self.tokens[split.index()] += 1;
        let written = self.files[split.index()].write_all(&id.to_le_bytes());
        written.map_err(|source| CorpusError::io("write", &self.dir.join(split.token_file()))(source))
    }

    fn finish(mut self, lines: &[u64; 3]) -> Result<[SplitInfo; 3], CorpusError> {
        for (file, split) in self.files.iter_mut().zip(Split::ALL) {
            file.flush().map_err(CorpusError::io("write", &self.dir.join(split.token_file())))?;
        }
        Ok(Split::ALL
            .map(|split| SplitInfo { tokens: self.tokens[split.index()], lines: lines[split.index()] }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_changes_between_the_passes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let files = vec![path.clone()];
        let options = BuildOptions::new(TextInput::Splits { train: files, valid: vec![], test: vec![] });
        let pass = || scan(&options, "reading", |_| true, |_, _| Ok(())).unwrap();
        std::fs::write(&path, "one two\n").unwrap();
        let (first, second) = (pass(), pass());
        check_unchanged(&options, &first, &second).unwrap();
        std::fs::write(&path, "one too\n").unwrap();
        let message = check_unchanged(&options, &first, &pass()).unwrap_err().to_string();
        assert!(message.contains("text.txt: changed"), "{message}");
    }
}
