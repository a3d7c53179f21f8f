//! Labelled examples as prepared data sets, long tails of them, and sampling by class.
//!
//! A data set is a directory:
//!
//! | file | contents |
//! | --- | --- |
//! | `train.words.bin`, `valid.words.bin`, `test.words.bin` | word ids of all examples, u32 little endian |
//! | `train.ends.bin`, ... | place behind the last word of each example, u64 little endian |
//! | `train.classes.bin`, ... | class id of each example, u32 little endian |
//! | `valid.repeats.bin`, ... | examples whose text stands in train, u32 little endian |
//! | `words.tsv`, `classes.tsv` | `name TAB count in train`, line number = id, by falling count |
//! | `dataset.toml` | [`DatasetInfo`]: options, files, sizes, repeats, hashes |
//!
//! [`build`] makes one from TSV, CSV or JSON Lines, plain, gzip or zstd; [`Dataset::open`] checks
//! and maps one. As a corpus it is written under a temporary name and renamed, and made once though
//! several processes ask for it. [`Sampler`] draws its training examples by class, [`ClassWeights`]
//! gives the weights of a loss: both need counts alone, and no tensor. [`Popular`] and
//! [`NaiveBayes`] are counted baselines.
//!
//! ```
//! use lexmax_dataset::{DatasetOptions, Split, Valid, build};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let (train, test) = (folder.path().join("train.tsv"), folder.path().join("test.tsv"));
//! std::fs::write(&train, "weather\tis it cold\nweather\train today\nmusic\tplay it\n")?;
//! std::fs::write(&test, "music\tplay it\n")?;
//!
//! let options = DatasetOptions::new(vec![train], Valid::None, vec![test]);
//! let dataset = build(&options, &folder.path().join("intents"))?;
//! assert_eq!(dataset.classes().word(0), "weather");
//! assert_eq!(dataset.classes().counts(), [2, 1]);
//! // The test text stands in train.
//! assert_eq!(dataset.examples(Split::Test).repeats(), [0]);
//! # Ok(())
//! # }
//! ```

mod balance;
mod baseline;
mod build;
mod error;
mod examples;
mod format;
mod held_out;
mod ids;
mod info;
mod noise;
mod open;
mod options;
mod read;
mod repeats;
mod request;
mod resample;
mod rows;
mod tail;
mod weights;
mod words;
mod write;

pub use balance::Balance;
pub use baseline::{NaiveBayes, Popular, Prior};
pub use build::{build, build_observed};
pub use error::DatasetError;
pub use examples::Examples;
pub use format::{Column, Format, Json, Table};
pub use info::{Changes, DatasetInfo, PartInfo, Parts};
pub use lexmax_corpus::{Split, Tokenizer, Vocab};
pub use open::Dataset;
pub use options::{DatasetOptions, LabelNoise, Shape, Tail, Valid};
pub use repeats::RepeatCounts;
pub use resample::{PassLength, Sampler, Sampling};
pub use tail::tail_counts;
pub use weights::ClassWeights;
pub use words::{Digits, Punctuation, WordOptions};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
