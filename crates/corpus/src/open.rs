//! Opening a corpus directory: everything is checked once, then tokens are plain slices.

use std::path::Path;

use crate::hash;
use crate::info::{CorpusInfo, INFO_FILE};
use crate::mapped::Mapped;
use crate::vocab::{VOCAB_FILE, Vocab};
use crate::{CorpusError, Split};

/// An opened corpus: token ids memory-mapped, ids sorted by falling training count.
///
/// ```
/// use lexmax_corpus::{Corpus, Split, SynthOptions, synthesize};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("tiny");
/// let options =
///     SynthOptions { vocab_size: 50, classes: 4, train_tokens: 1000, ..SynthOptions::default() };
/// synthesize(&options, &path)?;
///
/// let corpus = Corpus::open(&path)?;
/// assert_eq!(corpus.tokens(Split::Train).len(), 1000);
/// assert_eq!(corpus.vocab().len(), 50);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Corpus {
    info: CorpusInfo,
    vocab: Vocab,
    tokens: [Mapped<u32>; 3],
    log_probs: Option<[Mapped<f64>; 3]>,
}

impl Corpus {
    /// Opens and checks a corpus directory.
    ///
    /// Cost: one read of all its files (every id is compared with V, the contents are hashed);
    /// memory: the vocabulary, tokens stay in the page cache.
    ///
    /// # Errors
    /// A missing file, an unknown key in `corpus.toml`, a size that does not fit it, a vocabulary
    /// out of order, an id of V or more, a log-probability that is none, contents that do not hash
    /// to what was built: each names the file and what was expected.
    pub fn open(dir: &Path) -> Result<Corpus, CorpusError> {
        let info = CorpusInfo::read(dir)?;
        let corpus = Corpus::map(dir, info)?;
        let found = corpus.content_hash(dir)?;
        if found != corpus.info.hash {
            let expected = corpus.info.hash;
            return Err(CorpusError::Hash { path: dir.to_path_buf(), found, expected });
        }
        Ok(corpus)
    }

    /// Maps the files that `info` describes and checks them, all but the hash.
    fn map(dir: &Path, info: CorpusInfo) -> Result<Corpus, CorpusError> {
        let unk = info.tokenizer.as_ref().and_then(|tokenizer| tokenizer.unk.as_deref());
        let vocab = Vocab::read(dir, unk)?;
        let bad_info = |reason: String| CorpusError::Info { path: dir.join(INFO_FILE), reason };
        if vocab.len() as u64 != info.vocab_size {
            let (stated, found) = (info.vocab_size, vocab.len());
            return Err(bad_info(format!(
                "vocab_size is {stated}; expected {found}, the entries of {VOCAB_FILE}"
            )));
        }
        // Of a damaged vocabulary the sum may exceed 64 bits.
        let counted: u128 = vocab.counts().iter().map(|&count| u128::from(count)).sum();
        let stated = info.splits.train.tokens;
        if counted != u128::from(stated) {
            return Err(bad_info(format!(
                "{stated} training tokens; expected {counted}, the sum of the counts in {VOCAB_FILE}"
            )));
        }
        if stated == 0 {
            return Err(CorpusError::EmptyTrain { sources: dir.display().to_string() });
        }
        let tokens = map_splits(dir, &info, Split::token_file, "the token ids of a split")?;
        for split in Split::ALL {
            check_ids(dir, split, tokens[split.index()].as_slice(), vocab.len())?;
        }
        let log_probs = match &info.synthetic {
            None => None,
            Some(_) => {
                let maps: [Mapped<f64>; 3] =
                    map_splits(dir, &info, Split::log_prob_file, "the true log-probabilities of a split")?;
                for split in Split::ALL {
                    check_log_probs(dir, split, maps[split.index()].as_slice())?;
                }
                Some(maps)
            }
        };
        Ok(Corpus { info, vocab, tokens, log_probs })
    }

    /// Hash of the token files and the vocabulary in `dir`.
    fn content_hash(&self, dir: &Path) -> Result<String, CorpusError> {
        let path = dir.join(VOCAB_FILE);
        let vocab = std::fs::read(&path).map_err(CorpusError::io("read", &path))?;
        let tokens = Split::ALL.map(|split| (split.token_file(), self.tokens[split.index()].as_bytes()));
        Ok(hash::of_parts(tokens.into_iter().chain([(VOCAB_FILE.to_owned(), vocab.as_slice())])))
    }

    /// Completes a directory that holds tokens and vocabulary: checks it, hashes it, writes
    /// `corpus.toml`.
    pub(crate) fn seal(dir: &Path, info: CorpusInfo) -> Result<(), CorpusError> {
        let mut corpus = Corpus::map(dir, info)?;
        corpus.info.hash = corpus.content_hash(dir)?;
        corpus.info.write(dir)
    }

    /// Name of the corpus.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// SHA-256 over token files and vocabulary, hexadecimal: two corpora with the same hash train
    /// the same model.
    pub fn hash(&self) -> &str {
        &self.info.hash
    }

    /// The words and their training counts.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Token ids of a split, in order; each is less than `vocab().len()`.
    pub fn tokens(&self, split: Split) -> &[u32] {
        self.tokens[split.index()].as_slice()
    }

    /// The true log-probability (nats) of every token of [`Corpus::tokens`] given all before it and
    /// the hidden start of the split; known for synthetic languages only. A model's mean loss less
    /// the mean of their negatives is its excess over the truth.
    pub fn true_log_probs(&self, split: Split) -> Option<&[f64]> {
        self.log_probs.as_ref().map(|maps| maps[split.index()].as_slice())
    }

    /// Description of the corpus, from `corpus.toml`.
    pub fn info(&self) -> &CorpusInfo {
        &self.info
    }
}

fn map_splits<T: crate::mapped::Number>(
    dir: &Path,
    info: &CorpusInfo,
    file: fn(Split) -> String,
    what: &'static str,
) -> Result<[Mapped<T>; 3], CorpusError> {
    let open = |split: Split| Mapped::open(&dir.join(file(split)), info.splits.of(split).tokens, what);
    Ok([open(Split::Train)?, open(Split::Valid)?, open(Split::Test)?])
}

fn check_ids(dir: &Path, split: Split, ids: &[u32], vocab_size: usize) -> Result<(), CorpusError> {
    match ids.iter().position(|&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(position) => Err(CorpusError::IdOutOfRange {
            path: dir.join(split.token_file()),
            position: position as u64,
            id: ids[position],
            vocab_size: vocab_size as u64,
        }),
    }
}

fn check_log_probs(dir: &Path, split: Split, values: &[f64]) -> Result<(), CorpusError> {
    // Rounding may lift the log-probability of a nearly sure word a little above zero.
    let plausible = |value: f64| value.is_finite() && value <= 1e-9;
    match values.iter().position(|&value| !plausible(value)) {
        None => Ok(()),
        Some(position) => Err(CorpusError::LogProb {
            path: dir.join(split.log_prob_file()),
            position: position as u64,
            value: values[position],
        }),
    }
}
