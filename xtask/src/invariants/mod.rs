//! The invariants of ARCHITECTURE.md that a program can see in the source tree. Each file here
//! holds one of them and prints a violation in one line: place, finding, and expectation.

mod dependencies;
mod files;
mod lints;
mod paths;
mod prose;
mod tree;

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, bail};

/// One line about a place that breaks an invariant. A place is a file with the number of a line, or
/// a package.
fn violation(place: impl Display, found: impl Display, expected: impl Display) -> String {
    format!("{place}: {found}; expected {expected}")
}

/// Finds all violations in the tree.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = dependencies::check(&dependencies::metadata(root)?);
    let tree = tree::text_files(root)?;
    for file in &tree {
        found.extend(paths::check(file));
        found.extend(lints::check(file));
        if file.is_rust() {
            found.extend(files::check(file));
            found.extend(prose::check(file));
        }
    }
    Ok(found)
}

/// Prints every violation; any is an error.
pub fn require(root: &Path) -> Result<()> {
    let found = violations(root)?;
    for violation in &found {
        eprintln!("    {violation}");
    }
    match found.len() {
        0 => Ok(()),
        n => bail!("violations of the architecture's invariants, printed above: {n}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn tree_holds_its_invariants() {
        let lines = violations(&crate::workspace::root()).unwrap();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn violations_of_every_kind_are_found_in_a_tree() {
        let root = tempfile::tempdir().unwrap();
        let src = root.path().join("crates/full/src");
        fs::create_dir_all(&src).unwrap();
        let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n";
        fs::write(root.path().join("Cargo.toml"), workspace).unwrap();
        let package = "[package]\nname = \"lexmax-unheard-of\"\nedition = \"2024\"\n";
        fs::write(root.path().join("crates/full/Cargo.toml"), package).unwrap();
        let home = concat!("/ho", "me/someone/x");
        fs::write(root.path().join("loose.rs"), "//! Doc.\nenum From {}\n").unwrap();
        let text = format!("fn f() {{ g(\"{home}\") }}\n{}", "// line\n".repeat(files::MAX_LINES));
        fs::write(src.join("lib.rs"), text).unwrap();
        let lines = violations(root.path()).unwrap();
        for part in
            ["lexmax-unheard-of", "module doc", "401 lines", "home", "lints of", "file access", "prelude"]
        {
            assert!(lines.iter().any(|line| line.contains(part)), "{part} in {lines:#?}");
        }
    }
}
