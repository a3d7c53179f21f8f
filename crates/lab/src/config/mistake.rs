//! TOML values read as typed sections, with mistakes that know what is wrong and where.
//!
//! serde tells an error type of a deserializer by name that a key is unknown, and which ones there
//! are. So the deserializer here has an error type of its own, and nothing reads serde's sentences.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

use lexmax_records::{expected_names, nearest};

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
        f.write_str(&Misplaced { path: Vec::new(), mistake: self.clone() }.message(&[]))
    }
}

impl std::error::Error for Mistake {}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A mistake and the keys that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misplaced {
    /// Keys from the section on; the key that is unknown or missing is not among them.
    pub path: Vec<String>,
    /// Mistake at that place.
    pub mistake: Mistake,
}

impl Misplaced {
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

/// Reads a value as `T`; unknown keys are mistakes where `T` denies them.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Misplaced> {
    read_by(value, |reader| T::deserialize(reader))
}

/// Reads a value by a function that takes a deserializer.
pub(crate) fn read_by<T>(
    value: Value,
    read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, Reader>) -> Result<T, Mistake>,
) -> Result<T, Misplaced> {
    let mut track = serde_path_to_error::Track::new();
    read(serde_path_to_error::Deserializer::new(Reader(value), &mut track)).map_err(|mistake| {
        let path = track.path();
        let keys = path.iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            serde_path_to_error::Segment::Enum { variant } => Some(variant.clone()),
            serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
            serde_path_to_error::Segment::Unknown => None,
        });
        let mut path: Vec<String> = keys.collect();
        if let Mistake::UnknownKey { given, .. } = &mistake
            && path.last() == Some(given)
        {
            path.pop();
        }
        Misplaced { path, mistake }
    })
}

/// The word under the key that says what a table is, and the other keys.
pub(crate) fn take_tag(table: &Table, tag: &str) -> Result<(String, Value), Misplaced> {
    let mut rest = table.clone();
    let at = |path: &[&str], mistake| Misplaced { path: owned(path), mistake };
    match rest.remove(tag) {
        Some(Value::String(word)) => Ok((word, Value::Table(rest))),
        Some(other) => Err(at(&[tag], Mistake::Value(format!("found {other}, expected a word")))),
        None => Err(at(&[], Mistake::MissingKey { key: tag.to_owned() })),
    }
}

/// The mistake of a word that names no type of table.
pub(crate) fn unknown_tag<S: AsRef<str>>(tag: &str, given: &str, known: &[S]) -> Misplaced {
    let known = known.iter().map(|name| name.as_ref().to_owned()).collect();
    let mistake = Mistake::UnknownName { given: given.to_owned(), known };
    Misplaced { path: vec![tag.to_owned()], mistake }
}

/// Deserializer of a TOML value.
pub(crate) struct Reader(Value);

impl<'de> IntoDeserializer<'de, Mistake> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(flag) => visitor.visit_bool(flag),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Reader));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Value::Table(table) => visitor.visit_map(entries(table)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(word) => visitor.visit_enum(StringDeserializer::new(word)),
            Value::Table(table) if table.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(entries(table)))
            }
            other => {
                let expected = variants.join(", ");
                Err(Mistake::Value(format!("found {other}, expected one of the keys {expected}")))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

type Entries = std::iter::Map<toml::map::IntoIter<String, Value>, fn((String, Value)) -> (String, Reader)>;

fn entries<'de>(table: Table) -> MapDeserializer<'de, Entries, Mistake> {
    let read: fn((String, Value)) -> (String, Reader) = |(key, value)| (key, Reader(value));
    MapDeserializer::new(table.into_iter().map(read))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(default)]
        numbers: Vec<f64>,
        word: Option<Word>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Plain,
        Counted(u64),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        size: usize,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    fn read_text(text: &str) -> Result<Outer, String> {
        let table: Table = toml::from_str(text).unwrap();
        let keys: Vec<String> = table.keys().cloned().collect();
        read(Value::Table(table)).map_err(|misplaced| misplaced.message(&keys))
    }

    #[test]
    fn values_of_every_kind_are_read() {
        let read = read_text(
            "size = 3\n[inner.a]\nnumbers = [1, 2.5, inf]\nword = \"plain\"\n[inner.b]\nword = { counted = 4 }",
        );
        let outer = read.unwrap();
        assert_eq!(
            outer.inner["a"],
            Inner { numbers: vec![1.0, 2.5, f64::INFINITY], word: Some(Word::Plain) }
        );
        assert_eq!(outer.inner["b"], Inner { numbers: vec![], word: Some(Word::Counted(4)) });
    }

    #[test]
    fn mistakes_name_the_keys_that_lead_to_them() {
        for (text, expected) in [
            (
                "size = 3\nsiez = 1",
                "unknown key `siez`; did you mean `size`? expected one of `size`, `inner`",
            ),
            ("siz = 3", "unknown key `siz`; did you mean `size`? expected one of `size`, `inner`"),
            ("", "the key `size` is missing"),
            ("size = -1", "`size`: invalid value: integer `-1`, expected usize"),
            ("size = \"a\"", "`size`: invalid type: string \"a\", expected usize"),
            (
                "size = 1\ninner.a.numbers = [1.0, true]",
                "`inner.a.numbers.1`: invalid type: boolean `true`, expected f64",
            ),
            (
                "size = 1\ninner.a.nmbers = []",
                "unknown key `nmbers` in `inner.a`; did you mean `numbers`? expected one of `numbers`, `word`",
            ),
            (
                "size = 1\ninner.a.word = \"plane\"",
                "unknown name `plane` in `inner.a.word`; did you mean `plain`? expected one of `plain`, `counted`",
            ),
            (
                "size = 1\ninner.a.word = {}",
                "`inner.a.word`: found {}, expected one of the keys plain, counted",
            ),
        ] {
            assert_eq!(read_text(text).unwrap_err(), expected, "{text}");
        }
    }
}
