//! Errors of the corpus crate: each names the file or option, what was found and what was expected.

use std::path::{Path, PathBuf};

/// Error of building, generating or opening a corpus.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// Operation that was tried, as in `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("{path}: no such file; expected {expected}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of what should have been there.
        expected: &'static str,
    },
    /// The output path is taken.
    #[error("{path}: already exists{found}; expected a path where a new corpus directory can be made")]
    Exists {
        /// The path given for the corpus.
        path: PathBuf,
        /// Description of what is there, as in
        /// `, a corpus made with other options (its min_count is 1, given 2)`; empty where it is no
        /// corpus.
        found: String,
    },
    /// A source that is no regular file.
    #[error(
        "{path}: {found}; expected a file: a text is read twice where its corpus is there already, which pipes and \
         devices do not allow"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// Kind of what is there, as in `a pipe`.
        found: &'static str,
    },
    /// A .gz or .zst file ends early or is damaged.
    #[error("{path}: truncated or damaged {format} data: {source}")]
    Compressed {
        /// The file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        format: &'static str,
        /// Error of the decoder.
        source: std::io::Error,
    },
    /// A .gz or .zst file holds something else.
    #[error(
        "{path}: no {format} data, as its name says; the file starts like {found}: expected another name or data"
    )]
    NotPacked {
        /// The file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        format: &'static str,
        /// Format that its first bytes show.
        found: String,
    },
    /// A zstd frame needs more memory than a reader should give it.
    #[error(
        "{path}: zstd data with a window of {window} bytes; expected at most {limit}: unpack it with a zstd that reads \
         such windows, or pack it again with --long={log} or less"
    )]
    Window {
        /// The file.
        path: PathBuf,
        /// Bytes of the window of its first frame.
        window: u64,
        /// Largest window that is read.
        limit: u64,
        /// Binary logarithm of the limit.
        log: u32,
    },
    /// The text is not UTF-8.
    #[error("{path} line {line}: invalid UTF-8 at byte {offset} of the unpacked text; expected UTF-8{hint}")]
    InvalidUtf8 {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Byte offset in the unpacked text, counted from 0.
        offset: u64,
        /// Format that the first bytes show, with advice, as in
        /// `; the file starts like zip data: ..`; empty where it is unknown.
        hint: String,
    },
    /// The text has a NUL byte, which UTF-8 text does not use, but other encodings and binary files
    /// do.
    #[error(
        "{path} line {line}: NUL byte{guess} (byte {offset} of the unpacked text); expected UTF-8 text without NULs{hint}"
    )]
    NulByte {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Byte offset in the unpacked text, counted from 0.
        offset: u64,
        /// `: UTF-16?` where the first bytes show no other format.
        guess: &'static str,
        /// Format that the first bytes show, with advice, as in
        /// `; the file starts like zip data: ..`; empty where it is unknown.
        hint: String,
    },
    /// A token is too long to be one.
    #[error(
        "{path} line {line}: a token of more than {limit} bytes; expected words between white space, or the tokenizer \
         `characters`"
    )]
    LongToken {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Most bytes of a token.
        limit: usize,
    },
    /// There is nothing to train on.
    #[error("empty corpus: no tokens in the training split of {sources}; expected at least one token")]
    EmptyTrain {
        /// The files read.
        sources: String,
    },
    /// A ratio was asked for, but the text is too short for its blocks.
    #[error(
        "{split} split is empty: a ratio of {ratio:.3} of {lines} lines in blocks of {block_lines} lines; \
         expected a block_lines of at most {most}, or more lines"
    )]
    EmptySplit {
        /// The split that got nothing.
        split: crate::Split,
        /// Its share.
        ratio: f64,
        /// Lines in all files.
        lines: u64,
        /// Lines per block.
        block_lines: u64,
        /// Most lines per block that serve every split.
        most: u64,
    },
    /// A ratio was asked for, and the text has too few tokens for it.
    #[error(
        "{split} split is empty: the shares of {tokens} tokens in {lines} lines are {} for training, {} for valid and \
         {} for test; expected more text, or ratios that leave {split} more than {ratio:.3}",
        shares[0], shares[1], shares[2]
    )]
    EmptyShare {
        /// The split that got nothing.
        split: crate::Split,
        /// Its share.
        ratio: f64,
        /// Tokens in all files.
        tokens: u64,
        /// Lines in all files.
        lines: u64,
        /// Tokens of train, valid and test.
        shares: [u64; 3],
    },
    /// Files were given for a split, and nothing is in them.
    #[error(
        "{split} split is empty: no tokens in {sources}; expected at least one token, or no files for it"
    )]
    EmptyFiles {
        /// The split that got nothing.
        split: crate::Split,
        /// Its files.
        sources: String,
    },
    /// A word outside the vocabulary, and no unknown word to stand for it.
    #[error(
        "{path} line {line}: word {word:?} is not in the vocabulary; expected a training word that min_count and \
         max_vocab keep, or an `unk` word to stand for the others"
    )]
    OutOfVocabulary {
        /// The word.
        word: String,
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
    },
    /// An option has a value that cannot be used.
    #[error("{option}: given {given}; expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        given: String,
        /// Values that are accepted.
        expected: String,
    },
    /// The tables of a synthetic language would not fit.
    #[error(
        "a language of {contexts} contexts by {vocab_size} words and rank {rank} needs {bytes} bytes of tables and \
         vectors; expected at most {limit} bytes: lower vocab_size, classes, order or rank"
    )]
    TooLarge {
        /// Hidden contexts, C.
        contexts: u64,
        /// Words, V.
        vocab_size: u64,
        /// Rank of the vectors.
        rank: u64,
        /// Bytes that they need.
        bytes: u128,
        /// Bytes that are allowed.
        limit: u128,
    },
    /// The observer asked for it.
    #[error("interrupted; nothing is left of the corpus in the making")]
    Interrupted,
    /// The arithmetic of a synthetic language did not work out.
    #[error("synthetic language: {0}")]
    Language(String),
    /// `corpus.toml` could not be understood.
    #[error("{path}: {reason}")]
    Info {
        /// The file.
        path: PathBuf,
        /// Place and cause, with the unknown key or wrong value.
        reason: String,
    },
    /// `vocab.tsv` could not be understood.
    #[error("{path} line {line}: {reason}; expected `word TAB count`, by falling count, each word once")]
    Vocab {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Fault of the line.
        reason: String,
    },
    /// A binary file is longer or shorter than `corpus.toml` says.
    #[error(
        "{path}: {found} bytes; expected {expected} ({tokens} tokens of {item} bytes, as corpus.toml says): truncated?"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size that fits.
        expected: u64,
        /// Tokens of the split.
        tokens: u64,
        /// Bytes per token.
        item: u64,
    },
    /// A token id outside the vocabulary.
    #[error("{path}: token {position} has id {id}; expected less than the vocabulary size {vocab_size}")]
    IdOutOfRange {
        /// The file.
        path: PathBuf,
        /// Index of the token, counted from 0.
        position: u64,
        /// Its id.
        id: u32,
        /// V.
        vocab_size: u64,
    },
    /// A stored true log-probability that cannot be one.
    #[error("{path}: token {position} has log-probability {value}; expected a finite number, at most 0")]
    LogProb {
        /// The file.
        path: PathBuf,
        /// Index of the token, counted from 0.
        position: u64,
        /// The number.
        value: f64,
    },
    /// The files are not those that the corpus was made with.
    #[error(
        "{path}: contents hash to {found}; expected {expected} (corpus.toml): files changed since it was made"
    )]
    Hash {
        /// The corpus directory.
        path: PathBuf,
        /// Hash of what is there.
        found: String,
        /// Hash in `corpus.toml`.
        expected: String,
    },
}

impl CorpusError {
    /// Converter for `map_err`: an I/O error with the operation and the path; a missing file is
    /// [`CorpusError::Missing`].
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
        let path = path.to_path_buf();
        move |source| CorpusError::Io { action, path, source }
    }

    /// Converter for `map_err`: like [`CorpusError::io`], with a name for the file that should have
    /// been there when it is missing.
    pub(crate) fn open(path: &Path, expected: &'static str) -> impl FnOnce(std::io::Error) -> CorpusError {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => CorpusError::Missing { path, expected },
            _ => CorpusError::Io { action: "open", path, source },
        }
    }

    pub(crate) fn option(
        option: &'static str,
        given: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> CorpusError {
        CorpusError::Option { option, given: given.to_string(), expected: expected.into() }
    }
}
