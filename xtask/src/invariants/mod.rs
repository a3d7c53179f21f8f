//! The architecture invariants that a program can see in the source tree. Each file here holds one kind; each tells
//! a violation in one line: where, what, and what was expected.

mod code;
mod dependencies;
mod family_io;
mod files;
mod lints;
mod paths;
mod tree;
mod unsafe_code;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

/// One place that breaks an invariant.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// A file with line number, or a package.
    pub place: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl Violation {
    fn new(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place: place.into(), found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; expected {}", self.place, self.found, self.expected)
    }
}

/// All violations in the tree.
pub fn violations(root: &Path) -> Result<Vec<Violation>> {
    let mut found = dependencies::check(&dependencies::metadata(root)?)?;
    for file in tree::rust_files(root)? {
        found.extend(files::check(&file));
        let lines = code::code_lines(&file.text);
        found.extend(unsafe_code::check(&file, &lines));
        found.extend(family_io::check(&file, &lines));
    }
    for file in tree::text_files(root)? {
        found.extend(paths::check(&file));
        found.extend(lints::check(&file));
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
        1 => bail!("one violation of the architecture's invariants, printed above"),
        n => bail!("{n} violations of the architecture's invariants, printed above"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_tree_holds_its_invariants() {
        let found = violations(&crate::workspace::root().unwrap()).unwrap();
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn every_kind_is_called_on_a_tree() {
        // Everything but the dependencies, which cargo would have to read: a workspace of one bad file.
        let root = tempfile::tempdir().unwrap();
        let src = root.path().join("crates/full/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::write(
            root.path().join("Cargo.toml"),
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
        )
        .unwrap();
        std::fs::write(
            root.path().join("crates/full/Cargo.toml"),
            "[package]\nname = \"lexmax-unheard-of\"\nedition = \"2024\"\n",
        )
        .unwrap();
        let home = concat!("/ho", "me/someone/x");
        let text = format!(
            "use std::fs;\nfn f() {{ let _ = fs::read(\"{home}\"); }}\nfn g() {{ unsafe {{ h() }} }}\n{}",
            "// line\n".repeat(files::MAX_LINES)
        );
        std::fs::write(src.join("lib.rs"), text).unwrap();
        let lines: Vec<String> = violations(root.path()).unwrap().iter().map(ToString::to_string).collect();
        for part in ["lexmax-unheard-of", "module doc", "503 lines", "SAFETY", "std::fs", "home", "lints"] {
            assert!(lines.iter().any(|line| line.contains(part)), "{part} in {lines:#?}");
        }
    }
}
