//! Whether a corpus that exists is the one asked for: made with the same options from the same
//! sources.

use std::path::Path;

use serde::Serialize;

use crate::info::{CorpusInfo, INFO_FILE, Origin, RatioInfo, TokenizerInfo};
use crate::observer::{Event, Observer};
use crate::staging::{Staging, name_of};
use crate::{BuildOptions, Corpus, CorpusError, SynthOptions};

/// Options of a corpus to make.
pub(crate) struct Request<'a> {
    name: String,
    options: Options<'a>,
}

enum Options<'a> {
    Text(&'a BuildOptions),
    Language(&'a SynthOptions),
}

/// Start of a build.
// One value a build: its size is of no account.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Start {
    /// No corpus is there: build it here.
    Build(Staging),
    /// The corpus asked for is there.
    Found(Corpus),
}

impl<'a> Request<'a> {
    /// Asks for text at `out`.
    pub(crate) fn text(options: &'a BuildOptions, out: &Path) -> Self {
        let name = options.name.clone().unwrap_or_else(|| name_of(out));
        Request { name, options: Options::Text(options) }
    }

    /// Asks for a synthetic language at `out`.
    pub(crate) fn language(options: &'a SynthOptions, out: &Path) -> Self {
        Request { name: name_of(out), options: Options::Language(options) }
    }

    /// Starts a build at `out`, or opens the corpus that is there.
    pub(crate) fn start(&self, out: &Path, observer: &mut dyn Observer) -> Result<Start, CorpusError> {
        match Staging::start(out, observer)? {
            Some(staging) => Ok(Start::Build(staging)),
            None => self.open(out, observer).map(Start::Found),
        }
    }

    /// Checks what was written, describes it by `info`, moves it into place and opens it.
    pub(crate) fn finish(
        &self,
        staging: Staging,
        out: &Path,
        info: CorpusInfo,
        observer: &mut dyn Observer,
    ) -> Result<Corpus, CorpusError> {
        Corpus::seal(staging.dir(), info)?;
        if staging.publish()? { Corpus::open(out) } else { self.open(out, observer) }
    }

    /// Opens what is at `out`, where it is the corpus asked for.
    pub(crate) fn open(&self, out: &Path, observer: &mut dyn Observer) -> Result<Corpus, CorpusError> {
        let exists = |found: String| CorpusError::Exists { path: out.to_path_buf(), found };
        if !out.join(INFO_FILE).is_file() {
            return Err(exists(String::new()));
        }
        let unreadable = |error: CorpusError| exists(format!(", a corpus that cannot be opened ({error})"));
        let info = CorpusInfo::read(out).map_err(unreadable)?;
        if let Some(difference) = self.difference(&info)? {
            return Err(exists(format!(", a corpus made with other options ({difference})")));
        }
        let corpus = Corpus::open(out).map_err(unreadable)?;
        observer.tell(Event::Found { out });
        Ok(corpus)
    }

    /// First difference between a corpus and the one asked for.
    fn difference(&self, there: &CorpusInfo) -> Result<Option<String>, CorpusError> {
        if there.name != self.name {
            return Ok(Some(format!("its name is {:?}, given {:?}", there.name, self.name)));
        }
        match (&self.options, &there.origin, &there.tokenizer, &there.synthetic) {
            (Options::Language(options), Origin::Synthetic {}, _, Some(synthetic)) => {
                Ok(first_difference(&synthetic.options, *options))
            }
            (Options::Text(options), Origin::Text { ratio, files }, Some(tokenizer), _) => {
                let mut asked_ratio = RatioInfo::of(&options.input);
                if let (Some(asked), Some(there)) = (&mut asked_ratio, ratio) {
                    // Decided by the text.
                    asked.dealt_in = there.dealt_in;
                }
                let difference = first_difference(tokenizer, &TokenizerInfo::of(options))
                    .or_else(|| first_difference(&Wrapped { ratio }, &Wrapped { ratio: &asked_ratio }));
                if difference.is_some() {
                    return Ok(difference);
                }
                let asked = options.input.files();
                if asked.len() != files.len() {
                    return Ok(Some(format!("{} source files, given {}", files.len(), asked.len())));
                }
                for (source, (split, path)) in files.iter().zip(asked) {
                    if source.split != split || !source.is_still(path)? {
                        return Ok(Some(format!("the contents of {} are others", path.display())));
                    }
                }
                Ok(None)
            }
            (Options::Language(_), ..) => {
                Ok(Some("it is one of text, given a synthetic language".to_owned()))
            }
            (Options::Text(_), ..) => Ok(Some("it is a synthetic language, given text".to_owned())),
        }
    }
}

/// Table around an optional value, so that its absence can be compared by name.
#[derive(Serialize)]
struct Wrapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: &'a Option<RatioInfo>,
}

/// First key whose values differ, as in `its min_count is 1, given 2`; none where all are equal.
pub fn first_difference<T: Serialize>(there: &T, given: &T) -> Option<String> {
    let table = |value: &T| toml::Table::try_from(value).unwrap_or_default();
    let (there, given) = (table(there), table(given));
    let differs = there.keys().chain(given.keys()).find(|key| there.get(*key) != given.get(*key))?;
    let shown = |table: &toml::Table| table.get(differs).map_or("none".to_owned(), ToString::to_string);
    Some(format!("its {differs} is {}, given {}", shown(&there), shown(&given)))
}
