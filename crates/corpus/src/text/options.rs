//! Input and options of a corpus build.

use std::path::PathBuf;

use super::tokenizer::Tokenizer;
use crate::{CorpusError, Split};

/// Text files, and their division into three splits.
#[derive(Debug, Clone, PartialEq)]
pub enum TextInput {
    /// The files of each split. Valid and test may be empty lists; then those splits are empty.
    Splits {
        /// Files of the training split.
        train: Vec<PathBuf>,
        /// Files of the validation split.
        valid: Vec<PathBuf>,
        /// Files of the test split.
        test: Vec<PathBuf>,
    },
    /// One list of files, dealt out in blocks of neighbouring lines that are spread evenly over the
    /// text; in tokens where the text has too few lines for that (see [`crate::build`]).
    Ratio {
        /// The files, read as one text in this order.
        files: Vec<PathBuf>,
        /// Share of the blocks for valid, more than 0, less than 1.
        valid: f64,
        /// Share of the blocks for test, more than 0, less than 1; what valid and test leave is for
        /// training.
        test: f64,
        /// Lines in a block, at least 1. See [`TextInput::BLOCK_LINES`].
        block_lines: u64,
    },
}

impl TextInput {
    /// A usual length of blocks: long enough to keep most paragraphs whole, short enough for a text
    /// of some thousand lines.
    pub const BLOCK_LINES: u64 = 100;

    /// Every file, with its split where one is given.
    pub(crate) fn files(&self) -> Vec<(Option<Split>, &PathBuf)> {
        match self {
            TextInput::Splits { train, valid, test } => {
                let tag = |split: Split| move |path| (Some(split), path);
                train
                    .iter()
                    .map(tag(Split::Train))
                    .chain(valid.iter().map(tag(Split::Valid)))
                    .chain(test.iter().map(tag(Split::Test)))
                    .collect()
            }
            TextInput::Ratio { files, .. } => files.iter().map(|path| (None, path)).collect(),
        }
    }
}

/// Options of [`crate::build`].
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOptions {
    /// Name of the corpus; by default that of its directory.
    pub name: Option<String>,
    /// Text files and how they become splits.
    pub input: TextInput,
    /// Words or characters.
    pub tokenizer: Tokenizer,
    /// Training words seen less often become `unk`. 1 keeps all.
    pub min_count: u64,
    /// Most entries of the vocabulary, `eos` and `unk` included; rarer training words become `unk`.
    /// Where `unk` is given, one entry is kept for it.
    pub max_vocab: Option<usize>,
    /// Stands for words outside the vocabulary. It is an entry only where it is needed or in the
    /// text; with a count of 0, as the last id, where only valid or test need it. Without it such a
    /// word is an error.
    pub unk: Option<String>,
    /// Put at the end of each line, empty lines included; counts like a word of the text and is
    /// never dropped.
    pub eos: Option<String>,
}

impl BuildOptions {
    /// Every word, by white space; no `unk`, no `eos`.
    pub fn new(input: TextInput) -> BuildOptions {
        let tokenizer = Tokenizer::default();
        BuildOptions { name: None, input, tokenizer, min_count: 1, max_vocab: None, unk: None, eos: None }
    }

    pub(crate) fn validate(&self) -> Result<(), CorpusError> {
        if self.min_count == 0 {
            return Err(CorpusError::option("min_count", 0, "at least 1"));
        }
        let reserved = usize::from(self.unk.is_some()) + usize::from(self.eos.is_some());
        if let Some(max_vocab) = self.max_vocab
            && max_vocab <= reserved
        {
            return Err(CorpusError::option(
                "max_vocab",
                max_vocab,
                format!("more than {reserved} (unk and eos)"),
            ));
        }
        for (option, word) in [("unk", &self.unk), ("eos", &self.eos)] {
            if let Some(word) = word
                && (word.is_empty() || word.contains(['\n', '\0']))
            {
                let given = format!("{word:?}");
                return Err(CorpusError::option(
                    option,
                    given,
                    "a word that is not empty, without a line feed or a NUL",
                ));
            }
        }
        if self.unk.is_some() && self.unk == self.eos {
            let given = self.unk.as_deref().unwrap_or_default();
            return Err(CorpusError::option("unk", given, "a word other than eos"));
        }
        if let Some(name) = self.name.as_ref().filter(|name| name.trim().is_empty()) {
            return Err(CorpusError::option("name", format!("{name:?}"), "a name that is not empty"));
        }
        if let TextInput::Ratio { valid, test, block_lines, .. } = self.input {
            let expected = "shares above 0 of which valid and test leave more than 0 for training";
            // Written so that NaN fails.
            if !(valid > 0.0 && test > 0.0 && valid + test < 1.0) {
                let given = format!("valid {valid} + test {test}");
                return Err(CorpusError::option("ratio", given, expected));
            }
            if block_lines == 0 {
                return Err(CorpusError::option("block_lines", 0, "at least 1"));
            }
        }
        Ok(())
    }
}
