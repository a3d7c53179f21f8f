//! The `corpus` section: a corpus directory, or how to make one.

use std::path::{Path, PathBuf};

use lexmax_corpus::{BuildOptions, SynthOptions, TextInput, Tokenizer};
use serde::{Deserialize, Serialize};

/// Source of an experiment's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusSpec {
    /// A corpus directory that exists.
    Path(PathBuf),
    /// A synthetic language, made when it is absent.
    Synthetic(SynthOptions),
    /// Text files, made into a corpus when it is absent.
    Text(TextSpec),
}

/// Text files and how they are read. Either `train` with `valid` and `test`, or `files` with
/// `ratio`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// Name of the corpus; that of the experiment where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Files of the training split.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub train: Files,
    /// Files of the validation split.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub valid: Files,
    /// Files of the test split.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub test: Files,
    /// Files that are dealt out to the three splits.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub files: Files,
    /// Shares of the splits in `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// `words` or `characters`.
    #[serde(default)]
    pub tokenizer: Tokenizer,
    /// Training words seen less often become `unk`.
    #[serde(default = "one")]
    pub min_count: u64,
    /// Most entries of the vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_vocab: Option<usize>,
    /// Stands for words outside the vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unk: Option<String>,
    /// Put at the end of each line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
}

/// One path or a list of paths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a path or a list of paths")]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Any number of files.
    Many(Vec<PathBuf>),
}

/// Shares of the blocks of lines that go to valid and test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// Share of valid, 0 to 1.
    pub valid: f64,
    /// Share of test, 0 to 1.
    pub test: f64,
    /// Lines that stay together.
    #[serde(default = "block_lines")]
    pub block_lines: u64,
}

fn one() -> u64 {
    1
}

fn block_lines() -> u64 {
    TextInput::BLOCK_LINES
}

impl Default for Files {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Files {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Many(paths) if paths.is_empty())
    }

    /// The paths, relative ones below `base`.
    fn below(&self, base: &Path) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![base.join(path)],
            Self::Many(paths) => paths.iter().map(|path| base.join(path)).collect(),
        }
    }
}

impl CorpusSpec {
    /// Checks what serde cannot: that a text has one kind of input.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let Self::Text(text) = self else { return Ok(()) };
        let given_splits = !(text.train.is_empty() && text.valid.is_empty() && text.test.is_empty());
        match (given_splits, text.files.is_empty(), text.ratio) {
            (true, true, None) if !text.train.is_empty() => Ok(()),
            (true, true, None) => {
                Err("`train` is missing, expected the files of the training split".to_owned())
            }
            (false, false, Some(_)) => Ok(()),
            (false, false, None) => {
                Err("`files` without `ratio`, expected ratio = { valid = 0.1, test = 0.1 }".to_owned())
            }
            (false, true, _) => {
                Err("no files, expected `train`, `valid` and `test`, or `files` with `ratio`".to_owned())
            }
            (true, ..) => Err("both given splits and `files` or `ratio`, expected one of the two".to_owned()),
        }
    }
}

impl TextSpec {
    /// Options for the corpus builder, with relative paths below `base`.
    pub(crate) fn options(&self, base: &Path, name: &str) -> BuildOptions {
        let input = match self.ratio {
            None => TextInput::Splits {
                train: self.train.below(base),
                valid: self.valid.below(base),
                test: self.test.below(base),
            },
            Some(Ratio { valid, test, block_lines }) => {
                TextInput::Ratio { files: self.files.below(base), valid, test, block_lines }
            }
        };
        BuildOptions {
            name: Some(name.to_owned()),
            input,
            tokenizer: self.tokenizer,
            min_count: self.min_count,
            max_vocab: self.max_vocab,
            unk: self.unk.clone(),
            eos: self.eos.clone(),
        }
    }

    /// Every source file, with relative paths below `base`.
    pub(crate) fn sources(&self, base: &Path) -> Vec<PathBuf> {
        [&self.train, &self.valid, &self.test, &self.files]
            .into_iter()
            .flat_map(|files| files.below(base))
            .collect()
    }
}
