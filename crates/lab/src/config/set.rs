//! Values set over an experiment file from the command line, `KEY=VALUE`.

use lexmax_records::expected_names;
use toml::{Table, Value};

use super::SECTIONS;
use super::edit::{insert, remove};

/// Sets one `key=value` in the tables of a file.
pub(crate) fn set(table: &mut Table, pair: &str) -> Result<(), String> {
    if let Some(rest) = pair.trim_start().strip_prefix("outputs.") {
        return set_output(table, rest);
    }
    let (key, value) = pair.split_once('=').ok_or("expected key=value")?;
    let path: Vec<&str> = key.trim().split('.').collect();
    if !SECTIONS.contains(&path[0]) {
        return Err(format!("unknown key `{}`{}", path[0], expected_names(path[0], &SECTIONS)));
    }
    put(table, &path, value)
}

/// Sets `NAME.KEY=VALUE` in the section of an output. Names may hold dots and `=`: the longest one
/// that fits is meant; quotes around it are allowed.
fn set_output(table: &mut Table, rest: &str) -> Result<(), String> {
    let outputs =
        table.get_mut("outputs").and_then(Value::as_array_mut).ok_or("the file has no [[outputs]]")?;
    let mut names = Vec::new();
    let mut found: Option<(&str, &mut Table)> = None;
    let mut bare: Option<String> = None;
    for section in outputs.iter_mut().filter_map(Value::as_table_mut) {
        let Some(name) = section.get("name").and_then(Value::as_str).map(str::to_owned) else { continue };
        let tail = [name.clone(), format!("\"{name}\""), format!("'{name}'")]
            .iter()
            .find_map(|written| rest.strip_prefix(written.as_str()));
        match tail.map(str::trim_start) {
            Some(tail) if tail.starts_with('.') => {
                let longer = found.as_ref().is_none_or(|(other, _)| tail.len() <= other.len());
                if longer {
                    found = Some((&tail[1..], section));
                }
            }
            Some(tail) if tail.is_empty() || tail.starts_with('=') => bare = Some(name.clone()),
            _ => {}
        }
        names.push(name);
    }
    let Some((tail, section)) = found else {
        return Err(match bare {
            Some(name) => format!("expected outputs.{name}.KEY=VALUE, with a key of that output"),
            None => {
                let given = rest.split(['.', '=']).next().unwrap_or(rest).trim();
                format!("unknown output `{given}`{}", expected_names(given, &names))
            }
        });
    };
    let (key, value) = tail.split_once('=').ok_or("expected key=value")?;
    let path: Vec<&str> = key.trim().split('.').collect();
    put(section, &path, value)
}

/// Writes a value at a path; nothing after the sign takes the key away, so that its default holds.
fn put(table: &mut Table, path: &[&str], value: &str) -> Result<(), String> {
    match value.trim() {
        "" => remove(table, path),
        given => insert(table, path, parse_value(given)),
    }
}

/// A TOML value, or a bare word as a string.
fn parse_value(text: &str) -> Value {
    let parsed =
        toml::from_str::<Table>(&format!("value = {text}")).ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The tables of a file with outputs of some names after one `--set`.
    fn outputs(names: &[&str], pair: &str) -> Result<Table, String> {
        let sections = names.iter().map(|name| {
            let mut section = Table::new();
            section.insert("name".to_owned(), Value::String((*name).to_owned()));
            Value::Table(section)
        });
        let mut table = Table::new();
        table.insert("outputs".to_owned(), Value::Array(sections.collect()));
        set(&mut table, pair).map(|()| table)
    }

    /// The index of the output that got the only new key, the key and the value.
    fn changed(names: &[&str], pair: &str) -> (usize, String, String) {
        let table = outputs(names, pair).unwrap();
        let sections = table["outputs"].as_array().unwrap();
        let at = sections.iter().position(|section| section.as_table().unwrap().len() > 1).unwrap();
        let (key, value) = sections[at].as_table().unwrap().iter().find(|(key, _)| *key != "name").unwrap();
        (at, key.clone(), value.to_string())
    }

    #[test]
    fn set_reaches_the_longest_name_that_fits() {
        let at = |index, key: &str, value: &str| (index, key.to_owned(), value.to_owned());
        assert_eq!(changed(&["S=16"], "outputs.S=16.soft_cap=30.0"), at(0, "soft_cap", "30.0"));
        assert_eq!(changed(&["S", "S=16"], "outputs.S=16.soft_cap=30.0"), at(1, "soft_cap", "30.0"));
        assert_eq!(changed(&["a", "a.b"], "outputs.a.b.x=1"), at(1, "x", "1"));
        assert_eq!(changed(&["a", "a.b"], "outputs.a.b=1"), at(0, "b", "1"));
        assert_eq!(changed(&["v1.0=x y"], "outputs.v1.0=x y.k = 2"), at(0, "k", "2"));
        assert_eq!(changed(&["S=16"], "outputs.\"S=16\".k=2"), at(0, "k", "2"));
        assert_eq!(changed(&["a"], "outputs.a.k=b=c"), at(0, "k", "\"b=c\""));
    }

    #[test]
    fn a_set_without_a_key_says_what_is_expected() {
        for pair in ["outputs.full={layer=\"mos\"}", "outputs.full", "outputs.full = 3"] {
            let refusal = outputs(&["full", "mos"], pair).unwrap_err();
            assert!(refusal.contains("expected outputs.full.KEY"), "{refusal}");
        }
        let refusal = outputs(&["full"], "outputs.ful.x=3").unwrap_err();
        assert_eq!(refusal, "unknown output `ful`; did you mean `full`? expected `full`");
        for pair in ["outputs.full.=3", "outputs.full.a..b=3", "training.=3", "training..batch=3"] {
            let refusal = outputs(&["full"], pair).unwrap_err();
            assert!(refusal.contains("an empty key"), "{pair}: {refusal}");
        }
        for pair in ["outputs.full.soft_cap", "training.batch", ""] {
            let refusal = outputs(&["full"], pair).unwrap_err();
            assert_eq!(refusal, "expected key=value", "{pair}");
        }
    }
}
