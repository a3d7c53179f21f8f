//! Text files to a corpus directory.

use std::path::Path;

use super::assign::{Assign, most_block_lines, shares_of};
use super::count::{Counts, Ids};
use super::options::{BuildOptions, TextInput};
use super::scan::{Scanned, scan};
use super::writers::SplitWriters;
use crate::info::{CorpusInfo, Origin, RatioInfo, SplitInfo, Splits, TokenizerInfo};
use crate::observer::{Event, Observer, Unobserved};
use crate::request::{Request, Start};
use crate::staging::name_of;
use crate::vocab::VOCAB_FILE;
use crate::{Corpus, CorpusError, Split};

/// Builds a corpus directory at `out` from text files.
///
/// Two streaming passes: the first counts the words of the training split, the second writes ids.
/// Memory: the vocabulary (before `min_count` and `max_vocab`) and a line (see
/// [`crate::TextReader`]). The directory appears when it is complete; of several processes that
/// build it at once the first makes it, and the others wait and open it.
///
/// The vocabulary is the training words (and `eos`, `unk`), by falling count, words of equal count
/// in byte order.
///
/// By ratio, blocks of lines are dealt out. A text of so few lines that a split would stay empty
/// (text8 is one line) takes one pass more, which deals out tokens: the first for training, then
/// valid, the last for test.
///
/// # Errors
/// Options that cannot be used, files that cannot be read, damaged .gz or .zst data, invalid UTF-8
/// or NUL bytes, no training tokens, a word outside the vocabulary without `unk`, a held-out split
/// whose files or share give it no token, an `out` that holds anything but a corpus made with the
/// same options from the same sources, which is opened.
pub fn build(options: &BuildOptions, out: &Path) -> Result<Corpus, CorpusError> {
    build_observed(options, out, &mut Unobserved)
}

/// Builds as [`build`] does, tells its progress to `observer`, and ends early where that says so.
///
/// # Errors
/// Those of [`build`], and [`CorpusError::Interrupted`] where the observer stops it; nothing is
/// left behind.
pub fn build_observed(
    options: &BuildOptions,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Corpus, CorpusError> {
    options.validate()?;
    let asked = Request::text(options, out);
    let staging = match asked.start(out, observer)? {
        Start::Found(corpus) => return Ok(corpus),
        Start::Build(staging) => staging,
    };
    let info = write(options, out, staging.dir(), observer)?;
    asked.finish(staging, out, info, observer)
}

/// Writes the files of a corpus that will stand at `out` into `dir`.
fn write(
    options: &BuildOptions,
    out: &Path,
    dir: &Path,
    observer: &mut dyn Observer,
) -> Result<CorpusInfo, CorpusError> {
    let counted = count(options, None, observer)?;
    let in_tokens = tokens_to_deal_out(&options.input, &counted.1)?;
    let (counts, counted) = match in_tokens {
        None => counted,
        Some(tokens) => {
            observer.tell(Event::DealtInTokens { lines: counted.1.lines.iter().sum(), tokens });
            let again = count(options, in_tokens, observer)?;
            check_unchanged(options, &counted.1, &again.1)?;
            again
        }
    };
    let (words, word_counts) = counts.select(options);
    let mut ids = Ids::new(words, word_counts, options.unk.as_deref());
    let mut writers = SplitWriters::create(dir)?;
    let assign = Assign::new(&options.input, in_tokens);
    let dealt_in = assign.dealt_in();
    let written = scan(
        options,
        "writing ids",
        |_| true,
        assign,
        observer,
        |token, place| match ids.get(token) {
            Some(id) => writers.push(place.split, id),
            None => {
                let (word, path) = (token.to_owned(), place.path.to_path_buf());
                Err(CorpusError::OutOfVocabulary { word, path, line: place.line })
            }
        },
    )?;
    check_unchanged(options, &counted, &written)?;
    check_held_out(&options.input, &written)?;
    writers.finish()?;
    let vocab = ids.into_vocab().map_err(|(entry, reason)| CorpusError::Vocab {
        path: dir.join(VOCAB_FILE),
        line: entry as u64 + 1,
        reason,
    })?;
    vocab.write(dir)?;

    let name = options.name.clone().unwrap_or_else(|| name_of(out));
    let ratio = RatioInfo::of(&options.input).map(|ratio| RatioInfo { dealt_in, ..ratio });
    let splits = Splits::from_sizes(Split::ALL.map(|split| SplitInfo {
        tokens: written.tokens[split.index()],
        lines: written.lines[split.index()],
    }));
    let origin = Origin::Text { ratio, files: written.files };
    let mut info = CorpusInfo::new(name, vocab.len() as u64, splits, origin);
    info.tokenizer = Some(TokenizerInfo::of(options));
    Ok(info)
}

/// Counts the training words. By ratio the other splits' tokens are looked at too, and so every
/// token of the text.
fn count(
    options: &BuildOptions,
    in_tokens: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<(Counts, Scanned), CorpusError> {
    let mut counts = Counts::default();
    let assign = Assign::new(&options.input, in_tokens);
    let scanned = scan(
        options,
        "counting",
        |split| split == Split::Train,
        assign,
        observer,
        |token, place| {
            if place.split == Split::Train {
                counts.add(token);
            }
            Ok(())
        },
    )?;
    if scanned.tokens == [0; 3] {
        return Err(CorpusError::EmptyTrain { sources: sources_of(&options.input, Split::Train) });
    }
    Ok((counts, scanned))
}

/// The number of tokens to deal out, where lines leave a split empty and smaller blocks of them
/// cannot help.
fn tokens_to_deal_out(input: &TextInput, counted: &Scanned) -> Result<Option<u64>, CorpusError> {
    let &TextInput::Ratio { valid, test, block_lines, .. } = input else { return Ok(None) };
    let Some(split) = Split::ALL.into_iter().find(|split| counted.tokens[split.index()] == 0) else {
        return Ok(None);
    };
    let ratio = [1.0 - valid - test, valid, test][split.index()];
    let lines = counted.lines.iter().sum();
    if counted.lines[split.index()] == 0
        && let Some(most) = most_block_lines(valid, test, lines).filter(|&most| most < block_lines)
    {
        return Err(CorpusError::EmptySplit { split, ratio, lines, block_lines, most });
    }
    let tokens = counted.tokens.iter().sum();
    let shares = shares_of(tokens, valid, test);
    match Split::ALL.into_iter().find(|split| shares[split.index()] == 0) {
        None => Ok(Some(tokens)),
        Some(split) => {
            let ratio = [1.0 - valid - test, valid, test][split.index()];
            Err(CorpusError::EmptyShare { split, ratio, tokens, lines, shares })
        }
    }
}

/// The files that a split's tokens should have come from.
fn sources_of(input: &TextInput, of: Split) -> String {
    let files = input.files().into_iter().filter(|(split, _)| split.is_none_or(|split| split == of));
    let names: Vec<String> = files.map(|(_, path)| path.display().to_string()).collect();
    if names.is_empty() { "no files".to_owned() } else { names.join(", ") }
}

/// All passes must have read the same bytes: else counts and ids tell of different texts.
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

/// A held-out split whose files were given must have tokens; one without files is meant to be
/// empty.
fn check_held_out(input: &TextInput, written: &Scanned) -> Result<(), CorpusError> {
    let TextInput::Splits { valid, test, .. } = input else { return Ok(()) };
    for (split, files) in [(Split::Valid, valid), (Split::Test, test)] {
        if written.tokens[split.index()] == 0 && !files.is_empty() {
            return Err(CorpusError::EmptyFiles { split, sources: sources_of(input, split) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn file_that_changes_between_the_passes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let files = vec![path.clone()];
        let options = BuildOptions::new(TextInput::Splits { train: files, valid: vec![], test: vec![] });
        let pass = || count(&options, None, &mut Unobserved).unwrap().1;
        std::fs::write(&path, "one two\n").unwrap();
        let (first, second) = (pass(), pass());
        check_unchanged(&options, &first, &second).unwrap();
        std::fs::write(&path, "one too\n").unwrap();
        let message = check_unchanged(&options, &first, &pass()).unwrap_err().to_string();
        assert!(message.contains("text.txt: changed"), "{message}");
    }
}
