//! A vocabulary sorted by falling training count, and its file `vocab.tsv`.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::CorpusError;

/// Name of the vocabulary inside a corpus directory.
pub(crate) const VOCAB_FILE: &str = "vocab.tsv";

/// The words of a corpus with their counts in the training split.
///
/// Ids are sorted by falling count: id 0 is the most frequent word. Words of equal count stand in
/// the byte order of their UTF-8 (a synthetic language: in the order of its base ranks), so the
/// same text always gives the same ids. A word that the training text lacks (an `unk` needed only
/// by valid or test, or a rare word of a synthetic language) has count 0.
#[derive(Debug, Clone)]
pub struct Vocab {
    words: Vec<Arc<str>>,
    counts: Vec<u64>,
    ids: HashMap<Arc<str>, u32>,
    unk: Option<u32>,
}

impl Vocab {
    /// Vocabulary of words by falling count, as `corpus.toml` and `vocab.tsv` give them. Errors
    /// name the entry (from 0).
    pub(crate) fn new(
        words: Vec<Arc<str>>,
        counts: Vec<u64>,
        unk: Option<&str>,
    ) -> Result<Vocab, (usize, String)> {
        let mut ids = HashMap::with_capacity(words.len());
        for (entry, word) in words.iter().enumerate() {
            let id = u32::try_from(entry).map_err(|_| (entry, "more words than u32 ids".to_owned()))?;
            if entry > 0 && counts[entry] > counts[entry - 1] {
                return Err((entry, format!("count {} after count {}", counts[entry], counts[entry - 1])));
            }
            if ids.insert(Arc::clone(word), id).is_some() {
                return Err((entry, format!("word {word:?} again")));
            }
        }
        let unk = unk.and_then(|word| ids.get(word).copied());
        Ok(Vocab { words, counts, ids, unk })
    }

    /// V: number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words (never so in an opened corpus).
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word of an id.
    ///
    /// # Panics
    /// As slice indexing does, if `id >= len()`. Ids from [`crate::Corpus::tokens`] are always
    /// less.
    pub fn word(&self, id: u32) -> &str {
        &self.words[id as usize]
    }

    /// The id of a word, if it is in the vocabulary.
    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// Counts in the training split, by id: never rising, their sum is the number of training
    /// tokens.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The id of the word that stands for unknown words, if the corpus has one.
    pub fn unk(&self) -> Option<u32> {
        self.unk
    }

    /// Reads `vocab.tsv` in `dir`.
    pub(crate) fn read(dir: &Path, unk: Option<&str>) -> Result<Vocab, CorpusError> {
        let path = dir.join(VOCAB_FILE);
        let bytes = std::fs::read(&path).map_err(CorpusError::open(&path, "the vocabulary of the corpus"))?;
        let bad = |(entry, reason)| CorpusError::Vocab { path, line: entry as u64 + 1, reason };
        Vocab::parse(&bytes, unk).map_err(bad)
    }

    /// Reads the bytes of a `vocab.tsv`. `unk` is the word that stands for unknown ones.
    ///
    /// # Errors
    /// The entry (from 0) that cannot be used, and why.
    pub fn parse(bytes: &[u8], unk: Option<&str>) -> Result<Vocab, (usize, String)> {
        let entry_at = |end: usize| bytes[..end].iter().filter(|&&byte| byte == b'\n').count();
        let bad = |entry: usize, reason: String| (entry, reason);
        let text = std::str::from_utf8(bytes)
            .map_err(|error| bad(entry_at(error.valid_up_to()), "invalid UTF-8".to_owned()))?;
        if let Some(nul) = text.find('\0') {
            return Err(bad(entry_at(nul), "NUL byte: UTF-16?".to_owned()));
        }
        let mut words = Vec::new();
        let mut counts = Vec::new();
        // Only line feeds end an entry, and the count follows the last tab: a word of the character
        // tokenizer may itself be a tab or a carriage return.
        for (entry, line) in text.split_terminator('\n').enumerate() {
            let (word, count) =
                line.rsplit_once('\t').ok_or_else(|| bad(entry, format!("no tab in {line:?}")))?;
            let count = count.parse().map_err(|_| bad(entry, format!("count {count:?} is no number")))?;
            words.push(Arc::from(word));
            counts.push(count);
        }
        Vocab::new(words, counts, unk)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), CorpusError> {
        let path = dir.join(VOCAB_FILE);
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::new(std::fs::File::create(&path)?);
            for (word, count) in self.words.iter().zip(&self.counts) {
                writeln!(out, "{word}\t{count}")?;
            }
            out.flush()
        };
        write().map_err(CorpusError::io("write", &path))
    }
}
