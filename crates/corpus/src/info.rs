//! `corpus.toml`: where a corpus comes from, how it was tokenized, how large it is.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{BuildOptions, CorpusError, Split, SynthOptions, TextInput, Tokenizer, hash};

/// Name of the description inside a corpus directory.
pub(crate) const INFO_FILE: &str = "corpus.toml";
/// Layout of the directory that this crate reads and writes.
const LAYOUT: u32 = 1;

/// The contents of `corpus.toml`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusInfo {
    /// Version of the directory's layout.
    pub layout: u32,
    /// Name of the corpus, as results show it.
    pub name: String,
    /// SHA-256 over the token files and the vocabulary, hexadecimal.
    pub hash: String,
    /// V: words in `vocab.tsv`.
    pub vocab_size: u64,
    /// Sizes of the splits.
    pub splits: Splits,
    /// Origin of the tokens.
    pub origin: Origin,
    /// Division of text into tokens; `None` for a synthetic language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerInfo>,
    /// Facts about a synthetic language; none for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<SyntheticInfo>,
}

/// One [`SplitInfo`] for each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Training split.
    pub train: SplitInfo,
    /// Validation split.
    pub valid: SplitInfo,
    /// Test split.
    pub test: SplitInfo,
}

/// Size of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitInfo {
    /// Tokens, end-of-sentence tokens included.
    pub tokens: u64,
    /// Lines of text; 0 for a synthetic language, which has none.
    pub lines: u64,
}

/// Origin of the tokens of a corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Origin {
    /// Text files.
    Text {
        /// Division of one list of files into three splits; `None` where the splits were given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ratio: Option<RatioInfo>,
        /// The files, in the order read.
        files: Vec<SourceFile>,
    },
    /// [`crate::synthesize`].
    Synthetic {},
}

/// Shares of a split by ratio.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioInfo {
    /// Share of valid.
    pub valid: f64,
    /// Share of test.
    pub test: f64,
    /// Lines that stay together.
    pub block_lines: u64,
    /// Unit that was dealt out.
    #[serde(default, skip_serializing_if = "SplitUnit::is_lines")]
    pub dealt_in: SplitUnit,
}

/// Unit in which a text is dealt out by ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitUnit {
    /// Blocks of lines, spread over the text.
    #[default]
    Lines,
    /// Tokens, for a text of too few lines: the first for training, then valid, the last for test.
    Tokens,
}

impl SplitUnit {
    fn is_lines(&self) -> bool {
        *self == SplitUnit::Lines
    }
}

impl RatioInfo {
    /// The shares that were asked for, by ratio.
    pub(crate) fn of(input: &TextInput) -> Option<RatioInfo> {
        match *input {
            TextInput::Splits { .. } => None,
            TextInput::Ratio { valid, test, block_lines, .. } => {
                Some(RatioInfo { valid, test, block_lines, dealt_in: SplitUnit::Lines })
            }
        }
    }
}

/// One source file, as it was when the corpus was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// File name without its folder.
    pub file: String,
    /// The split that the whole file belongs to; none where blocks of lines were dealt out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Size as stored, so compressed where the file is.
    pub bytes: u64,
    /// Lines of text.
    pub lines: u64,
    /// SHA-256 of the file as stored, hexadecimal.
    pub sha256: String,
}

impl SourceFile {
    /// Whether `path` holds what was read. Cost: one read of the file where its size is the same.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_still(&self, path: &Path) -> Result<bool, CorpusError> {
        let mut file = File::open(path).map_err(CorpusError::open(path, "a source file"))?;
        let metadata = file.metadata().map_err(CorpusError::io("look at", path))?;
        if metadata.len() != self.bytes {
            return Ok(false);
        }
        Ok(hash::of_reader(&mut file).map_err(CorpusError::io("read", path))? == self.sha256)
    }
}

/// Division of text into tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerInfo {
    /// Words or characters.
    pub kind: Tokenizer,
    /// Training words seen less often than this became `unk`.
    pub min_count: u64,
    /// Most entries that the vocabulary may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_vocab: Option<u64>,
    /// The word that stands for all words outside the vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unk: Option<String>,
    /// The word put at the end of each line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
}

impl TokenizerInfo {
    /// Tokenizer options that were asked for.
    pub(crate) fn of(options: &BuildOptions) -> TokenizerInfo {
        TokenizerInfo {
            kind: options.tokenizer,
            min_count: options.min_count,
            max_vocab: options.max_vocab.map(|words| words as u64),
            unk: options.unk.clone(),
            eos: options.eos.clone(),
        }
    }
}

/// Exact facts about a synthetic language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticInfo {
    /// True entropy rate, nats per token: no model can have a lower expected loss.
    pub entropy_rate: f64,
    /// Entropy of the stationary unigram distribution, nats: what a model that ignores the context
    /// can reach.
    pub unigram_entropy: f64,
    /// C: hidden contexts.
    pub contexts: u64,
    /// The options that made it.
    pub options: SynthOptions,
}

impl CorpusInfo {
    pub(crate) fn new(name: String, vocab_size: u64, splits: Splits, origin: Origin) -> CorpusInfo {
        let hash = String::new();
        CorpusInfo {
            layout: LAYOUT,
            name,
            hash,
            vocab_size,
            splits,
            origin,
            tokenizer: None,
            synthetic: None,
        }
    }

    /// Reads and checks `corpus.toml` in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<CorpusInfo, CorpusError> {
        let path = dir.join(INFO_FILE);
        let text = std::fs::read_to_string(&path).map_err(CorpusError::open(
            &path,
            "corpus.toml of a corpus directory made by `corpus build` or `corpus synth`",
        ))?;
        CorpusInfo::parse(&text).map_err(|reason| CorpusError::Info { path, reason })
    }

    /// Reads the text of a `corpus.toml`.
    ///
    /// # Errors
    /// The fault: a key that is missing or unknown, another layout, a number that no language
    /// can have.
    pub fn parse(text: &str) -> Result<CorpusInfo, String> {
        let info: CorpusInfo = toml::from_str(text).map_err(|error| error.to_string())?;
        if info.layout != LAYOUT {
            return Err(format!("layout {}; expected layout {LAYOUT}: build the corpus again", info.layout));
        }
        if let Some(synthetic) = &info.synthetic {
            for (key, nats) in
                [("entropy_rate", synthetic.entropy_rate), ("unigram_entropy", synthetic.unigram_entropy)]
            {
                if !(nats.is_finite() && nats > -1e-9) {
                    return Err(format!("{key} is {nats}; expected a finite number of nats, at least 0"));
                }
            }
        }
        Ok(info)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), CorpusError> {
        let path = dir.join(INFO_FILE);
        let text = toml::to_string(self)
            .map_err(|error| CorpusError::Info { path: path.clone(), reason: error.to_string() })?;
        std::fs::write(&path, text).map_err(CorpusError::io("write", &path))
    }
}

impl Splits {
    /// The sizes of one split.
    pub fn of(&self, split: Split) -> SplitInfo {
        match split {
            Split::Train => self.train,
            Split::Valid => self.valid,
            Split::Test => self.test,
        }
    }

    pub(crate) fn from_sizes(sizes: [SplitInfo; 3]) -> Splits {
        let [train, valid, test] = sizes;
        Splits { train, valid, test }
    }
}
