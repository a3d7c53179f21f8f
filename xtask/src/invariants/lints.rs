//! Lints that clippy passes by unless a package asks for them.

use super::tree::SourceFile;
use super::violation;

/// Packages that know no file: clippy.toml lists the functions and types, these deny their use.
const WITHOUT_FILES: [&str; 7] =
    ["adaptive", "full", "hierarchical", "kernels", "mixture", "output", "sampled"];

/// The line that denies file access outside tests.
const DENIED: &str = "#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]";

/// Looks at one file; only manifests of packages and the roots of libraries matter.
pub fn check(file: &SourceFile) -> Vec<String> {
    let path = file.path.as_str();
    if (path == "Cargo.toml" || path.ends_with("/Cargo.toml")) && !takes_workspace_lints(&file.text) {
        let expected = "a table [lints] with `workspace = true`";
        return vec![violation(path, "the package does not take the lints of the workspace", expected)];
    }
    let knows_no_file = WITHOUT_FILES.iter().any(|name| path == format!("crates/{name}/src/lib.rs"));
    if knows_no_file && !file.text.lines().any(|line| line == DENIED) {
        return vec![violation(path, "nothing keeps file access out of this crate", format!("`{DENIED}`"))];
    }
    Vec::new()
}

/// Whether a manifest takes the lints; a package that is the root of a workspace of its own has
/// none to take.
fn takes_workspace_lints(manifest: &str) -> bool {
    let is_member = manifest.contains("[package]\n") && !manifest.lines().any(|line| line == "[workspace]");
    !is_member || manifest.contains("\n[lints]\nworkspace = true\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn package_without_workspace_lints_is_a_violation() {
        let path = "crates/a/Cargo.toml";
        let member = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n";
        assert_eq!(found(path, member), 0);
        assert_eq!(found(path, "[package]\nname = \"a\"\n"), 1);
        assert_eq!(found(path, "[package]\n[lints]\n[dependencies]\nworkspace = true\n"), 1);
        assert_eq!(found("Cargo.toml", "[workspace]\nmembers = []\n"), 0);
        assert_eq!(found("experiments/a.toml", "[package]\n"), 0);
    }

    #[test]
    fn family_that_allows_file_access_is_a_violation() {
        assert_eq!(found("crates/full/src/lib.rs", &format!("//! Doc.\n{DENIED}\n")), 0);
        assert_eq!(found("crates/full/src/lib.rs", "//! Doc.\n"), 1);
        assert_eq!(found("crates/corpus/src/lib.rs", "//! Doc.\n"), 0);
    }
}
