//! Mistakes in a section of a file, which know what is wrong and where.

use lexmax_records::{expected_names, nearest};
use serde::de;
use toml::{Table, Value};

/// Kind of a mistake in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A key that its table does not have.
    UnknownKey { given: String, known: Vec<String> },
    /// A word that is none of those which may stand there.
    UnknownName { given: String, known: Vec<String> },
    /// A key that must be there.
    MissingKey { key: String },
    /// A value of another type, or out of the range of its type, in words.
    Value(String),
}

impl de::Error for Mistake {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownKey { given: field.to_owned(), known: owned(expected) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownName { given: variant.to_owned(), known: owned(expected) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingKey { key: field.to_owned() }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&LocatedMistake { path: Vec::new(), mistake: self.clone() }.message(&[]))
    }
}

impl std::error::Error for Mistake {}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A mistake and the keys that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocatedMistake {
    /// Keys from the section on; the key that is unknown or missing is not among them.
    pub path: Vec<String>,
    /// Mistake at that place.
    pub mistake: Mistake,
}

impl LocatedMistake {
    /// The mistake below another key.
    pub fn below(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    /// Adds keys that the section has beside those of the type it was read as.
    pub fn with_own_keys(mut self, keys: &[&str]) -> Self {
        if let (Mistake::UnknownKey { known, .. }, true) = (&mut self.mistake, self.path.is_empty()) {
            known.extend(owned(keys));
        }
        self
    }

    /// One sentence; `given` are the keys of the section, of which one may be a missing one
    /// mistyped.
    pub fn message(&self, given: &[String]) -> String {
        let place = self.path.join(".");
        let inside = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
        match &self.mistake {
            Mistake::UnknownKey { given, known } => {
                format!("unknown key `{given}`{inside}{}", expected_names(given, known))
            }
            Mistake::UnknownName { given, known } => {
                format!("unknown name `{given}`{inside}{}", expected_names(given, known))
            }
            Mistake::MissingKey { key } => match nearest(key, given).filter(|_| place.is_empty()) {
                Some(typo) => format!("unknown key `{typo}`; did you mean `{key}`? It is missing"),
                None => format!("the key `{key}`{inside} is missing"),
            },
            Mistake::Value(message) if place.is_empty() => message.clone(),
            Mistake::Value(message) => format!("`{place}`: {message}"),
        }
    }
}

/// The word under the key that says what a table is, and the other keys.
pub(crate) fn take_tag(table: &Table, tag: &str) -> Result<(String, Value), LocatedMistake> {
    let mut rest = table.clone();
    let at = |path: &[&str], mistake| LocatedMistake { path: owned(path), mistake };
    match rest.remove(tag) {
        Some(Value::String(word)) => Ok((word, Value::Table(rest))),
        Some(other) => Err(at(&[tag], Mistake::Value(format!("found {other}, expected a word")))),
        None => Err(at(&[], Mistake::MissingKey { key: tag.to_owned() })),
    }
}

/// The mistake of a word that names no type of table.
pub(crate) fn unknown_tag<S: AsRef<str>>(tag: &str, given: &str, known: &[S]) -> LocatedMistake {
    let known = known.iter().map(|name| name.as_ref().to_owned()).collect();
    let mistake = Mistake::UnknownName { given: given.to_owned(), known };
    LocatedMistake { path: vec![tag.to_owned()], mistake }
}
