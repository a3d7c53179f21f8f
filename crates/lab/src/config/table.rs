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
        // A budget is one of several units, and a corpus comes from one of several places: setting another one replaces it.
        let within = path.iter().position(|other| other == key).and_then(|at| path.get(at + 1));
        if *key == "budget" || *key == "corpus" && within.is_some_and(|other| !here.contains_key(*other)) {
            here.clear();
        }
    }
    // Two ways to say the same: one displaces the other.
    const EITHER: [&str; 2] = ["eval_points", "eval_every_seconds"];
    if EITHER.contains(last) {
        EITHER.iter().for_each(|key| drop(here.remove(*key)));
    }
    here.insert((*last).to_owned(), value);
    Ok(())
}

/// Takes the value at a dotted path away, where there is one.
pub(crate) fn remove(table: &mut Table, path: &[&str]) -> std::result::Result<(), String> {
    let (last, parents) = path.split_last().ok_or("an empty key")?;
    let mut here = Some(table);
    for key in parents {
        here = here.and_then(|table| table.get_mut(*key)).and_then(Value::as_table_mut);
    }
    match here.and_then(|table| table.remove(*last)) {
        Some(_) => Ok(()),
        None => Err(format!("there is no `{}` to take away", path.join("."))),
    }
}

/// Puts the keys of `own` over those of `base`, tables within tables too. A budget is replaced whole, and so is a table that says
/// which kind of thing it is: the keys of another kind are not its own.
pub(crate) fn overlay(base: &mut Table, own: &Table) {
    for (key, value) in own {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(own)) if key != "budget" && !own.contains_key("kind") => {
                overlay(base, own);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
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
        remove(&mut table, &["training", "batch"]).unwrap();
        assert!(remove(&mut table, &["training", "batch"]).unwrap_err().contains("no `training.batch`"));
        insert(&mut table, &["training", "batch"], Value::Integer(4)).unwrap();
        for key in ["eval_points", "eval_every_seconds"] {
            insert(&mut table, &["training", key], Value::Integer(3)).unwrap();
        }
        assert!(table["training"].get("eval_points").is_none());
        let mut corpus: Table = toml::from_str("corpus = { synthetic = { seed = 1 } }").unwrap();
        insert(&mut corpus, &["corpus", "synthetic", "seed"], Value::Integer(2)).unwrap();
        assert_eq!(corpus, toml::from_str::<Table>("corpus = { synthetic = { seed = 2 } }").unwrap());
        insert(&mut corpus, &["corpus", "path"], Value::String("x".into())).unwrap();
        assert_eq!(corpus, toml::from_str::<Table>("corpus = { path = \"x\" }").unwrap());
        let refused = insert(&mut table, &["training", "batch", "size"], Value::Integer(1)).unwrap_err();
        assert!(refused.contains("`batch` is a single value"), "{refused}");
    }

    #[test]
    fn a_key_within_a_table_leaves_the_others() {
        let parse = |text: &str| toml::from_str::<Table>(text).unwrap();
        let mut base = parse(
            "plateau = { factor = 0.25, patience = 2 }\noptimizer = { kind = \"sgd\", momentum = 0.9 }\nbudget = { epochs = 3 }",
        );
        overlay(
            &mut base,
            &parse("plateau = { factor = 0.5 }\noptimizer = { momentum = 0.5 }\nbudget = { seconds = 9 }"),
        );
        let expected = parse(
            "plateau = { factor = 0.5, patience = 2 }\noptimizer = { kind = \"sgd\", momentum = 0.5 }\nbudget = { seconds = 9 }",
        );
        assert_eq!(base, expected);
        overlay(&mut base, &parse("optimizer = { kind = \"adam\" }"));
        assert_eq!(base["optimizer"], parse("optimizer = { kind = \"adam\" }")["optimizer"]);
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
