//! TOML values read as typed sections, with mistakes that know what is wrong and where.
//!
//! serde tells an error type of a deserializer by name that a key is unknown, and which ones there
//! are. So the deserializer here has an error type of its own, and nothing reads serde's sentences.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::mistake::{LocatedMistake, Mistake};

/// Reads a value as `T`; unknown keys are mistakes where `T` denies them.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, LocatedMistake> {
    read_by(value, |reader| T::deserialize(reader))
}

/// Reads a value by a function that takes a deserializer.
pub(crate) fn read_by<T>(
    value: Value,
    read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, Reader>) -> Result<T, Mistake>,
) -> Result<T, LocatedMistake> {
    let mut track = serde_path_to_error::Track::new();
    read(serde_path_to_error::Deserializer::new(Reader(value), &mut track)).map_err(|mistake| {
        let path = track.path();
        let keys = path.iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Unknown => None,
        });
        let mut path: Vec<String> = keys.collect();
        if let Mistake::UnknownKey { given, .. } = &mistake
            && path.last() == Some(given)
        {
            path.pop();
        }
        LocatedMistake { path, mistake }
    })
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
                "size = 1\ninner.a.word = \"plan\"",
                "unknown name `plan` in `inner.a.word`; did you mean `plain`? expected one of `plain`, `counted`",
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
