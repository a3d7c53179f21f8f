//! Text files to a corpus directory.

use std::path::Path;

use super::assign::{Assign, most_block_lines, shares_of};
use super::count::Ids;
use super::options::{BuildOptions, TextInput};
use super::read::{ReadText, read};
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
/// The text is read once: a thread unpacks it, this one numbers its words and spools the numbers to
/// a temporary file beside the corpus, seldom larger than the text. Two passes over that file count
/// the words of the training split and write ids. Memory: the distinct words of all splits, a line
/// (see [`crate::TextReader`]) and 2 MiB of unpacked text. The directory appears when it is
/// complete; of several processes that build it at once the first makes it, and the others wait and
/// open it.
///
/// The vocabulary is the training words (and `eos`, `unk`), by falling count, words of equal count
/// in byte order.
///
/// By ratio, blocks of lines are dealt out. A text of so few lines that a split would stay empty
/// (text8 is one line) is counted once more, and its tokens are dealt out: the first for training,
/// then valid, the last for test.
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
    let mut text = read(options, dir, observer)?;
    let (mut counts, counted) = count(options, &mut text, None, observer)?;
    let in_tokens = tokens_to_deal_out(&options.input, &counted)?;
    if let Some(tokens) = in_tokens {
        observer.tell(Event::DealtInTokens { lines: counted.lines.iter().sum(), tokens });
        counts = count(options, &mut text, in_tokens, observer)?.0;
    }
    let mut ids = Ids::select(&text.words, &counts, options);
    let mut writers = SplitWriters::create(dir)?;
    let assign = Assign::new(&options.input, in_tokens);
    let dealt_in = assign.dealt_in();
    let paths = options.input.files();
    let ReadText { words, spool, files } = &mut text;
    let written = scan(options, spool, files, "writing ids", assign, observer, |number, place| {
        match ids.get(number) {
            Some(id) => writers.push(place.split, id),
            None => {
                let (word, path) = (words.word(number).to_owned(), paths[place.file].1.clone());
                Err(CorpusError::OutOfVocabulary { word, path, line: place.line })
            }
        }
    })?;
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
    let origin = Origin::Text { ratio, files: text.files };
    let mut info = CorpusInfo::new(name, vocab.len() as u64, splits, origin);
    info.tokenizer = Some(TokenizerInfo::of(options));
    Ok(info)
}

/// Counts the training tokens of each word, by its number.
fn count(
    options: &BuildOptions,
    text: &mut ReadText,
    in_tokens: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<(Vec<u64>, Scanned), CorpusError> {
    let mut counts = vec![0; text.words.len()];
    let assign = Assign::new(&options.input, in_tokens);
    let scanned =
        scan(options, &mut text.spool, &text.files, "counting", assign, observer, |number, place| {
            if place.split == Split::Train {
                counts[number as usize] += 1;
            }
            Ok(())
        })?;
    let read = match &options.input {
        TextInput::Splits { .. } => scanned.tokens[Split::Train.index()],
        // What the blocks left to training is looked at later.
        TextInput::Ratio { .. } => scanned.tokens.iter().sum(),
    };
    if read == 0 {
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
