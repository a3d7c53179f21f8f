//! Form of a source file: a module doc at its top, and a length that can be read at once.

use super::tree::SourceFile;
use super::violation;

/// The longest file.
pub const MAX_LINES: usize = 400;

/// Looks at one Rust file.
pub fn check(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !first.starts_with("//!") || first.trim() == "//!" {
        let expected = "a first line `//! What this file is for.`";
        found.push(violation(format!("{}:1", file.path), "no module doc at the top", expected));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        let expected = format!("at most {MAX_LINES}, one idea a file");
        found.push(violation(&file.path, format!("{lines} lines"), expected));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check(&SourceFile { path: "crates/a/src/b.rs".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn file_without_module_doc_is_a_violation() {
        assert!(found("//! Doc.\n\nfn f() {}\n").is_empty());
        for text in ["", "fn f() {}\n", "// Not a doc.\n", "use a;\n//! Late.\n", "//!\n"] {
            let found = found(text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].starts_with("crates/a/src/b.rs:1: no module doc"), "{found:?}");
        }
    }

    #[test]
    fn file_beyond_the_limit_is_a_violation() {
        let text = |lines: usize| format!("//! Doc.\n{}", "//\n".repeat(lines - 1));
        assert!(found(&text(MAX_LINES)).is_empty());
        assert!(found(&text(MAX_LINES + 1))[0].contains("401 lines; expected at most 400"));
    }
}
