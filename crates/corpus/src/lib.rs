//! Text to token ids, frequency-sorted vocabularies, and synthetic languages of known entropy.
//!
//! A corpus is a directory:
//!
//! | file | contents |
//! | --- | --- |
//! | `train.bin`, `valid.bin`, `test.bin` | token ids, u32 little endian |
//! | `vocab.tsv` | `word TAB count in train`, line number = id, by falling count |
//! | `corpus.toml` | [`CorpusInfo`]: origin, tokenizer, sizes, hash |
//! | `train.logp.bin`, ... | synthetic languages: true log-probability of each token, f64 little
//! endian, nats |
//!
//! [`build`] makes one from text files, [`synthesize`] from a seed, [`Corpus::open`] checks and
//! maps one, [`describe`] tells its sizes and statistics. Directories are written under a temporary
//! name and renamed, so that a reader never meets half a corpus; of several processes that make the
//! same one, the first does and the others open it. Builds tell their progress to an [`Observer`],
//! which can stop them. Id 0 is always the most frequent training word; output layers rely on it.
//!
//! ```
//! use lexmax_corpus::{BuildOptions, Split, TextInput, build, describe};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let text = folder.path().join("text.txt");
//! std::fs::write(&text, "the cat sat\nthe dog sat\nthe end\n")?;
//!
//! let input = TextInput::Splits { train: vec![text], valid: vec![], test: vec![] };
//! let options = BuildOptions { eos: Some("<eos>".to_owned()), ..BuildOptions::new(input) };
//! let corpus = build(&options, &folder.path().join("corpus"))?;
//!
//! let words: Vec<&str> = corpus.tokens(Split::Train)[..4].iter().map(|&id|
//! corpus.vocab().word(id)).collect();
//! assert_eq!(words, ["the", "cat", "sat", "<eos>"]);
//! assert_eq!(corpus.vocab().counts(), [3, 3, 2, 1, 1, 1]);
//! println!("{}", describe(&corpus));
//! # Ok(())
//! # }
//! ```

mod describe;
mod error;
mod hash;
mod info;
mod mapped;
mod observer;
mod open;
pub mod prepared;
mod request;
mod split;
mod staging;
mod synth;
mod text;
mod vocab;

pub use describe::{Coverage, Description, SplitDescription, describe};
pub use error::CorpusError;
pub use info::{
    CorpusInfo, Origin, RatioInfo, SourceFile, SplitInfo, SplitUnit, Splits, SyntheticInfo, TokenizerInfo,
};
pub use observer::{Event, Observer, Unit};
pub use open::Corpus;
pub use split::Split;
pub use synth::{SynthOptions, synthesize, synthesize_observed};
pub use text::{BuildOptions, Piece, TextInput, TextReader, Tokenizer, build, build_observed};
pub use vocab::Vocab;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
