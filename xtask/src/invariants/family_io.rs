//! A family of output layers knows no file: it neither reads nor writes one.

use super::Violation;
use super::code::words;
use super::tree::SourceFile;

/// Sources of the families.
const FAMILIES: [&str; 5] = [
    "crates/adaptive/src/",
    "crates/full/src/",
    "crates/hierarchical/src/",
    "crates/mixture/src/",
    "crates/sampled/src/",
];

/// Names that only code with files uses.
const NAMES: [&str; 2] = ["fs", "OpenOptions"];

/// Looks at one Rust file; `code` are its lines without comments and literals. Test code may use files.
pub fn check(file: &SourceFile, code: &[String]) -> Vec<Violation> {
    let in_family = FAMILIES.iter().any(|family| file.path.starts_with(family));
    if !in_family || file.path.ends_with("/tests.rs") || file.path.contains("/tests/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut lines = code.iter().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // The module of tests stands at the end of a file; a declaration such as `mod tests;` is one line.
            let next = lines.find(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with("#["));
            if next.is_some_and(|(_, line)| line.trim().ends_with(';')) {
                continue;
            }
            break;
        }
        if words(line).any(|word| NAMES.contains(&word)) {
            found.push(Violation::new(
                format!("{}:{}", file.path, number + 1),
                "a family uses std::fs",
                "values from the caller: a family knows no file",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::code::code_lines;
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        check(&file, &code_lines(text)).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn files_in_a_family_are_seen() {
        let path = "crates/hierarchical/src/tree.rs";
        let text = "//! std::fs\nuse std::{fs, io};\nfn f() { std::fs::read(\"x\"); }\n";
        assert_eq!(places(path, text), [format!("{path}:2"), format!("{path}:3")]);
        let text = "#[cfg(test)]\nmod tests;\n\nuse std::fs::File;\n";
        assert_eq!(places(path, text), [format!("{path}:4")]);
    }

    #[test]
    fn tests_and_other_crates_may_use_files() {
        assert!(places("crates/corpus/src/lib.rs", "use std::fs;").is_empty());
        assert!(places("crates/full/src/tests.rs", "use std::fs;").is_empty());
        assert!(
            places("crates/full/src/a.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n").is_empty()
        );
    }
}
