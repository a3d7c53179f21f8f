//! A vocabulary sorted by falling training count, and its file `vocab.tsv`.

use std::hash::BuildHasher;
use std::io::{BufWriter, Write};
use std::path::Path;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::CorpusError;

/// Name of the vocabulary inside a corpus directory.
pub(crate) const VOCAB_FILE: &str = "vocab.tsv";

/// The words of a corpus with their counts in the training split.
///
/// Ids are sorted by falling count: id 0 is the most frequent word. Words of equal count stand in
/// the byte order of their UTF-8 (a synthetic language: in the order of its base ranks), so the
/// same text always gives the same ids. A word that the training text lacks (an `unk` needed only
/// by valid or test, or a rare word of a synthetic language) has count 0.
///
/// Memory: the bytes of the words and some 25 bytes a word.
#[derive(Debug, Clone)]
pub struct Vocab {
    /// All words, one after another.
    text: String,
    /// End of each word in `text`, by id.
    ends: Vec<usize>,
    counts: Vec<u64>,
    ids: HashTable<u32>,
    hasher: RandomState,
    unk: Option<u32>,
}

impl Vocab {
    /// Vocabulary of words by falling count, as `corpus.toml` and `vocab.tsv` give them; each has
    /// its count. Errors name the entry (from 0).
    pub(crate) fn new<W: AsRef<str>>(
        words: impl IntoIterator<Item = W>,
        counts: Vec<u64>,
        unk: Option<&str>,
    ) -> Result<Vocab, (usize, String)> {
        let mut vocab = Vocab {
            text: String::new(),
            ends: Vec::with_capacity(counts.len()),
            ids: HashTable::with_capacity(counts.len()),
            counts,
            hasher: RandomState::default(),
            unk: None,
        };
        for (entry, word) in words.into_iter().enumerate() {
            if let Some([before, count]) = vocab.counts.get(entry.wrapping_sub(1)..=entry)
                && count > before
            {
                return Err((entry, format!("count {count} after count {before}")));
            }
            vocab.add(word.as_ref()).map_err(|reason| (entry, reason))?;
        }
        vocab.unk = unk.and_then(|word| vocab.id(word));
        Ok(vocab)
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        let Vocab { text, ends, ids, hasher, .. } = self;
        let id = u32::try_from(ends.len()).map_err(|_| "more words than u32 ids".to_owned())?;
        let hash = hasher.hash_one(word);
        let rehash = |&id: &u32| hasher.hash_one(word_of(text, ends, id));
        match ids.entry(hash, |&id| word_of(text, ends, id) == word, rehash) {
            Entry::Occupied(_) => Err(format!("word {word:?} again")),
            Entry::Vacant(new) => {
                new.insert(id);
                text.push_str(word);
                ends.push(text.len());
                Ok(())
            }
        }
    }

    /// V: number of words.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no words (never so in an opened corpus).
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word of an id.
    ///
    /// # Panics
    /// As slice indexing does, if `id >= len()`. Ids from [`crate::Corpus::tokens`] are always
    /// less.
    pub fn word(&self, id: u32) -> &str {
        word_of(&self.text, &self.ends, id)
    }

    /// The id of a word, if it is in the vocabulary.
    pub fn id(&self, word: &str) -> Option<u32> {
        let is_word = |&id: &u32| self.word(id) == word;
        self.ids.find(self.hasher.hash_one(word), is_word).copied()
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
            words.push(word);
            counts.push(count);
        }
        Vocab::new(words, counts, unk)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), CorpusError> {
        let path = dir.join(VOCAB_FILE);
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::new(std::fs::File::create(&path)?);
            for (id, count) in (0..).zip(&self.counts) {
                writeln!(out, "{}\t{count}", self.word(id))?;
            }
            out.flush()
        };
        write().map_err(CorpusError::io("write", &path))
    }
}

/// Word of an id, which must be one, among words that end at `ends` in `text`.
#[inline]
pub(crate) fn word_of<'a>(text: &'a str, ends: &[usize], id: u32) -> &'a str {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &text[start..ends[id]]
}
