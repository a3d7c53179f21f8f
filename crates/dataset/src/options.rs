//! Options of a data set: files, splits, cleaning, long tail and noise.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{DatasetError, Format, WordOptions};

/// Options of [`crate::build`], and the table `[corpus.labelled]` of an experiment.
///
/// ```
/// use lexmax_dataset::{DatasetOptions, Tail, Valid};
///
/// let options: DatasetOptions = toml::from_str(
///     "train = 'train.tsv.gz'\ntest = ['test.tsv.gz']\nvalid = { share = 0.1 }\n\
///      words = { lower = true, punctuation = 'drop' }\n\
///      tail = { shape = 'exponential', ratio = 50.0, order_seed = 1 }",
/// )?;
/// assert_eq!(options.valid, Valid::Share(0.1));
/// assert_eq!(options.tail, Some(Tail::exponential(50.0, 1)));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetOptions {
    /// Name of the data set; by default that of its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Files of the training part, one or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub train: Vec<PathBuf>,
    /// Validation part: files, or examples held out of the training part.
    #[serde(default)]
    pub valid: Valid,
    /// Files of the test part, one or a list.
    #[serde(default, deserialize_with = "one_or_many")]
    pub test: Vec<PathBuf>,
    /// Form of the rows.
    #[serde(default)]
    pub format: Format,
    /// Cleaning, and division into words.
    #[serde(default)]
    pub words: WordOptions,
    /// Labels whose rows are left out of all parts, as `oos`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether training rows that repeat another one, or stand in valid or test, are dropped.
    #[serde(default)]
    pub drop_repeats: bool,
    /// Long tail that the training part is cut to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
    /// Training labels that are flipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_noise: Option<LabelNoise>,
}

/// Origin of the validation part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "ValidKey", into = "ValidKey")]
pub enum Valid {
    /// No validation part.
    #[default]
    None,
    /// Files of its own.
    Files(Vec<PathBuf>),
    /// So many training examples of each class, by the hash of the example.
    EachClass(u64),
    /// This share of each class's training examples, rounded, by the hash of the example. One
    /// example of each class always stays.
    Share(f64),
}

/// Long tail of training counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// Shape of the tail.
    pub shape: Shape,
    /// Greatest count over the least one, at least 1.
    pub ratio: f64,
    /// Seed of the order of classes, which decides what is head and what is tail.
    pub order_seed: u64,
}

impl Tail {
    /// Exponential tail.
    pub fn exponential(ratio: f64, order_seed: u64) -> Tail {
        Tail { shape: Shape::Exponential, ratio, order_seed }
    }
}

/// Shape of a long tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// `n_i = floor(max * ratio^(-i / (C - 1)))` for the `i`-th class in order, from 0.
    Exponential,
}

/// Training labels that are flipped to another class, to measure what wrong labels cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelNoise {
    /// Share of the training labels, from 0 to less than 1.
    pub share: f64,
    /// Seed of the choice.
    #[serde(default)]
    pub seed: u64,
}

impl DatasetOptions {
    /// Rows `label TAB text` in the files of each part, words by white space.
    pub fn new(train: Vec<PathBuf>, valid: Valid, test: Vec<PathBuf>) -> DatasetOptions {
        DatasetOptions {
            name: None,
            train,
            valid,
            test,
            format: Format::default(),
            words: WordOptions::default(),
            exclude: Vec::new(),
            drop_repeats: false,
            tail: None,
            label_noise: None,
        }
    }

    /// Refuses values that cannot be used, as [`crate::build`] does before it reads a file.
    ///
    /// # Errors
    /// The option, its value and the values that are accepted.
    pub fn validate(&self) -> Result<(), DatasetError> {
        let refuse =
            |option, given: String, expected: &str| Err(DatasetError::option(option, given, expected));
        if self.train.is_empty() {
            return refuse("train", "no file".to_owned(), "at least one file");
        }
        if let Some(name) = self.name.as_ref().filter(|name| name.trim().is_empty()) {
            return refuse("name", format!("{name:?}"), "a name that is not empty");
        }
        self.format.validate()?;
        self.words.validate()?;
        match &self.valid {
            Valid::EachClass(0) => return refuse("valid.each_class", "0".to_owned(), "at least 1"),
            // Written so that NaN fails.
            Valid::Share(share) if !(*share > 0.0 && *share < 1.0) => {
                return refuse("valid.share", share.to_string(), "more than 0 and less than 1");
            }
            _ => {}
        }
        let mut excluded = self.exclude.clone();
        excluded.sort_unstable();
        if let Some(pair) = excluded.windows(2).find(|pair| pair[0] == pair[1]) {
            return refuse("exclude", format!("{:?} twice", pair[0]), "each label once");
        }
        // dataset.toml keeps whole numbers of 63 bits.
        let seed = |option, seed: u64| match i64::try_from(seed) {
            Ok(_) => Ok(()),
            Err(_) => refuse(option, seed.to_string(), "less than 2^63"),
        };
        if let Some(tail) = &self.tail {
            if !(tail.ratio.is_finite() && tail.ratio >= 1.0) {
                return refuse("tail.ratio", tail.ratio.to_string(), "a finite number, at least 1");
            }
            seed("tail.order_seed", tail.order_seed)?;
        }
        if let Some(noise) = &self.label_noise {
            if !(0.0..1.0).contains(&noise.share) {
                return refuse("label_noise.share", noise.share.to_string(), "from 0 to less than 1");
            }
            seed("label_noise.seed", noise.seed)?;
        }
        Ok(())
    }
}

/// The forms that the key `valid` takes.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a file, a list of files, { each_class = N } or { share = X }")]
enum ValidKey {
    Files(Paths),
    Held(Held),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    each_class: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

/// One path or a list of them.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a file or a list of files")]
enum Paths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl Paths {
    fn into_list(self) -> Vec<PathBuf> {
        match self {
            Paths::One(path) => vec![path],
            Paths::Many(paths) => paths,
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    Paths::deserialize(deserializer).map(Paths::into_list)
}

impl TryFrom<ValidKey> for Valid {
    type Error = &'static str;

    fn try_from(key: ValidKey) -> Result<Valid, &'static str> {
        match key {
            ValidKey::Files(paths) => Ok(match paths.into_list() {
                none if none.is_empty() => Valid::None,
                paths => Valid::Files(paths),
            }),
            ValidKey::Held(Held { each_class: Some(each), share: None }) => Ok(Valid::EachClass(each)),
            ValidKey::Held(Held { each_class: None, share: Some(share) }) => Ok(Valid::Share(share)),
            ValidKey::Held(_) => Err("valid: expected one of the keys each_class and share"),
        }
    }
}

impl From<Valid> for ValidKey {
    fn from(valid: Valid) -> ValidKey {
        let held = |each_class, share| ValidKey::Held(Held { each_class, share });
        match valid {
            Valid::None => ValidKey::Files(Paths::Many(Vec::new())),
            Valid::Files(paths) => ValidKey::Files(Paths::Many(paths)),
            Valid::EachClass(each) => held(Some(each), None),
            Valid::Share(share) => held(None, Some(share)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn valid_takes_files_or_one_rule() {
        #[derive(Deserialize)]
        struct Key {
            valid: Valid,
        }
        let of = |text: &str| toml::from_str::<Key>(text).map(|key| key.valid);
        assert_eq!(of("valid = 'a.tsv'").unwrap(), Valid::Files(vec!["a.tsv".into()]));
        assert_eq!(of("valid = ['a', 'b']").unwrap(), Valid::Files(vec!["a".into(), "b".into()]));
        assert_eq!(of("valid = []").unwrap(), Valid::None);
        assert_eq!(of("valid = { each_class = 5 }").unwrap(), Valid::EachClass(5));
        assert_eq!(of("valid = { share = 0.1 }").unwrap(), Valid::Share(0.1));
        for wrong in ["valid = 5", "valid = { part = 0.1 }"] {
            assert!(of(wrong).unwrap_err().to_string().contains("{ each_class = N }"), "{wrong}");
        }
        for wrong in ["valid = {}", "valid = { share = 0.1, each_class = 2 }"] {
            assert!(of(wrong).unwrap_err().to_string().contains("expected one of the keys"), "{wrong}");
        }
    }

    #[test]
    fn options_come_back_as_written() {
        let mut options = DatasetOptions::new(vec!["a".into()], Valid::Share(0.25), vec![]);
        options.tail = Some(Tail::exponential(10.0, 3));
        options.label_noise = Some(LabelNoise { share: 0.2, seed: 9 });
        options.exclude = vec!["oos".to_owned()];
        for valid in [Valid::None, Valid::Files(vec!["b".into()]), Valid::EachClass(4), Valid::Share(0.25)] {
            options.valid = valid;
            let text = toml::to_string(&options).unwrap();
            assert_eq!(toml::from_str::<DatasetOptions>(&text).unwrap(), options, "{text}");
        }
        assert!(toml::from_str::<DatasetOptions>("train = 'a'\nlower = true").is_err());
    }
}
