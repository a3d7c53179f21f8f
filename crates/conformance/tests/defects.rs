//! The catalogue `docs/DEFECTS.md` and the tests that point to it name each other.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Row of the catalogue and crate that tests it.
type Pairs = BTreeSet<(u32, String)>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The rows of all functions `a20_NN_*`.
fn rows_in(source: &str) -> impl Iterator<Item = u32> + '_ {
    source.split("fn a20_").skip(1).map(|rest| rest[..2].parse().unwrap())
}

fn cited_below(folder: &Path, owner: &str, found: &mut Pairs) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cited_below(&path, owner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            found.extend(rows_in(&source).map(|row| (row, owner.to_owned())));
        }
    }
}

/// Rows of the table, with the crates that they name.
fn catalogue(page: &str) -> Pairs {
    let mut pairs = Pairs::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && line.contains("`a20_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let row: u32 = cells[1].parse().unwrap();
        assert!(cells[4].starts_with(&format!("`a20_{row:02}`")), "row {row} names another test");
        for part in cells[4].split('`').filter_map(|part| part.strip_prefix("crates/")) {
            pairs.insert((row, part.to_owned()));
        }
    }
    pairs
}

#[test]
fn catalogue_of_defects_and_tests_name_each_other() {
    let mut tests = Pairs::new();
    for entry in root().join("crates").read_dir().unwrap() {
        let folder = entry.unwrap().path();
        let owner = folder.file_name().unwrap().to_string_lossy().into_owned();
        // This crate names the pattern, not a defect.
        if owner != "conformance" {
            for part in ["src", "tests"].map(|part| folder.join(part)).iter().filter(|part| part.is_dir()) {
                cited_below(part, &owner, &mut tests);
            }
        }
    }
    let page = catalogue(&std::fs::read_to_string(root().join("docs/DEFECTS.md")).unwrap());
    let unlisted: Vec<_> = tests.difference(&page).collect();
    let untested: Vec<_> = page.difference(&tests).collect();
    assert!(unlisted.is_empty(), "tests that docs/DEFECTS.md does not name: {unlisted:?}");
    assert!(untested.is_empty(), "rows of docs/DEFECTS.md without a test in that crate: {untested:?}");
    let rows: BTreeSet<u32> = page.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, (1..=*rows.last().unwrap()).collect(), "rows are numbered without a gap");
}
