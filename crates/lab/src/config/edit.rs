//! Changes of a file's tables: values set from the command line or by a grid, and sections laid
//! over others.

use toml::{Table, Value};

/// Writes `value` at a dotted path, making tables on the way.
pub(crate) fn insert(table: &mut Table, path: &[&str], value: Value) -> std::result::Result<(), String> {
    let (last, parents) = split(path)?;
    let mut here = table;
    for key in parents {
        let next = here.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        here = next
            .as_table_mut()
            .ok_or_else(|| format!("`{key}` is a single value, it has no `{last}` inside"))?;
        // A budget is one of several units, and a corpus comes from one of several places: setting
        // another one replaces it.
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

/// The last key of a path and those before it; no key may be empty.
fn split<'a, 'b>(path: &'a [&'b str]) -> std::result::Result<(&'a &'b str, &'a [&'b str]), String> {
    match path.split_last() {
        Some(split) if path.iter().all(|key| !key.is_empty()) => Ok(split),
        _ => Err(format!("an empty key in `{}`", path.join("."))),
    }
}

/// Takes the value at a dotted path away, where there is one.
pub(crate) fn remove(table: &mut Table, path: &[&str]) -> std::result::Result<(), String> {
    let (last, parents) = split(path)?;
    let mut here = Some(table);
    for key in parents {
        here = here.and_then(|table| table.get_mut(*key)).and_then(Value::as_table_mut);
    }
    match here.and_then(|table| table.remove(*last)) {
        Some(_) => Ok(()),
        None => Err(format!("there is no `{}` to take away", path.join("."))),
    }
}

/// Puts the keys of `own` over those of `base`, tables within tables too. A budget is replaced
/// whole, and so is a table that says which kind of thing it is: the keys of another kind are not
/// its own.
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
}
