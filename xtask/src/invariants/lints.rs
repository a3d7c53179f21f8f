//! Every crate takes the lints of the workspace, or clippy would pass by what they forbid.

use super::Violation;
use super::tree::SourceFile;

/// Looks at one file; only manifests of packages matter.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let is_manifest = file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml");
    if !is_manifest || !file.text.lines().any(|line| line.trim() == "[package]") {
        return Vec::new();
    }
    let mut lines = file.text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    let section = lines.by_ref().take_while(|line| !line.starts_with('['));
    let taken = section.map(|line| line.replace(' ', "")).any(|line| line == "workspace=true");
    if taken {
        return Vec::new();
    }
    vec![Violation::new(
        &file.path,
        "the package does not take the lints of the workspace",
        "a table [lints] with `workspace = true`",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn a_package_without_the_lints_is_seen() {
        let path = "crates/a/Cargo.toml";
        assert_eq!(
            found(path, "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n"),
            0
        );
        assert_eq!(found(path, "[package]\nname = \"a\"\n"), 1);
        assert_eq!(found(path, "[package]\n[lints]\n[dependencies]\nworkspace = true\n"), 1);
        assert_eq!(found("Cargo.toml", "[workspace]\nmembers = []\n"), 0);
        assert_eq!(found("experiments/a.toml", "[package]\n"), 0);
    }
}
