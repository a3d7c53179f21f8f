//! Reading sections of a TOML table, with errors that name the file, the section and the key.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::suggest::{explain, explain_among, most_similar};
use crate::{LabError, Result};

/// The error of a place in the file.
pub(crate) fn error(file: &Path, place: impl Into<String>, message: impl Into<String>) -> LabError {
    LabError::Config { file: file.to_owned(), place: place.into(), message: message.into() }
}

/// Reads a section as `T`; unknown keys are errors where `T` denies them.
pub(crate) fn decode<T: DeserializeOwned>(file: &Path, place: &str, value: Value) -> Result<T> {
    T::deserialize(value).map_err(|source| error(file, place, explain(&source.to_string())))
}

/// As [`decode`], for types whose key `tag` says which one it is: serde forgets the key there, so it is found by leaving
/// out one key at a time. `own` are keys of the section that were taken out before.
pub(crate) fn decode_tagged<T: DeserializeOwned>(
    file: &Path,
    place: &str,
    table: &Table,
    tag: &str,
    own: &[&str],
) -> Result<T> {
    let read = |table: &Table| T::deserialize(Value::Table(table.clone())).map_err(|error| error.to_string());
    if !table.contains_key(tag) {
        let message = missing(tag, table.keys());
        return Err(error(file, place, message));
    }
    read(table).map_err(|message| {
        let innocent = |key: &str| {
            let mut without = table.clone();
            without.remove(key);
            read(&without).err().is_some_and(|other| other == message || other.starts_with("missing field"))
        };
        let culprits: Vec<&String> = table.keys().filter(|key| !innocent(key)).collect();
        let about_key = message.starts_with("unknown field") || message.starts_with("missing field");
        let key = match culprits.as_slice() {
            [key] if !about_key => format!("`{key}`: "),
            _ => String::new(),
        };
        error(file, place, format!("{key}{}", explain_among(&message, &[&[tag], own].concat())))
    })
}

/// A key that must be there is not; one that looks like it may be meant.
pub(crate) fn missing<'a>(key: &str, given: impl Iterator<Item = &'a String>) -> String {
    let given: Vec<&String> = given.collect();
    // Closer than for other guesses: the other keys are known ones as a rule, as `samples` beside a missing `name`.
    match most_similar(key, &given, 0.8) {
        Some(typo) => format!("unknown key `{typo}`; did you mean `{key}`? It is missing"),
        None => format!("the key `{key}` is missing"),
    }
}

/// Writes `value` at a dotted path, making tables on the way.
pub(crate) fn insert(table: &mut Table, path: &[&str], value: Value) -> std::result::Result<(), String> {
    let (last, parents) = path.split_last().ok_or("an empty key")?;
    let mut here = table;
    for key in parents {
        let next = here.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        here = next
            .as_table_mut()
            .ok_or_else(|| format!("`{key}` is a single value, it has no `{last}` inside"))?;
        // A budget is one of several units: setting another one replaces it.
        if *key == "budget" {
            here.clear();
        }
    }
    here.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_land_at_their_path_and_a_budget_is_replaced() {
        let mut table: Table = toml::from_str("training = { batch = 2, budget = { seconds = 9 } }").unwrap();
        insert(&mut table, &["training", "batch"], Value::Integer(4)).unwrap();
        insert(&mut table, &["training", "budget", "tokens"], Value::Integer(100)).unwrap();
        let expected: Table = toml::from_str("training = { batch = 4, budget = { tokens = 100 } }").unwrap();
        assert_eq!(table, expected);
        let refused = insert(&mut table, &["training", "batch", "size"], Value::Integer(1)).unwrap_err();
        assert!(refused.contains("`batch` is a single value"), "{refused}");
    }

    #[test]
    fn the_key_with_the_wrong_type_is_named() {
        let table: Table = toml::from_str("layer = \"full\"\nsoft_cap = \"high\"").unwrap();
        let error =
            decode_tagged::<lexmax::OutputConfig>(Path::new("x.toml"), "output `a`", &table, "layer", &[])
                .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("x.toml: output `a`: `soft_cap`: invalid type: string \"high\""), "{text}");
    }
}
