//! Every unsafe block and unsafe impl says why it is sound, in a `// SAFETY:` comment.

use super::Violation;
use super::code::words;
use super::tree::SourceFile;

/// Looks at one Rust file; `code` are its lines without comments and literals.
pub fn check(file: &SourceFile, code: &[String]) -> Vec<Violation> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for number in 0..code.len().min(lines.len()) {
        if opens_unsafe(code, number) && !is_explained(&lines, code, number) {
            found.push(Violation::new(
                format!("{}:{}", file.path, number + 1),
                "unsafe code without a reason",
                "a comment `// SAFETY: ...` right above it",
            ));
        }
    }
    found
}

/// Whether an unsafe block or impl begins on the line (unsafe functions state their contract in their docs).
fn opens_unsafe(code: &[String], number: usize) -> bool {
    code[number].match_indices("unsafe").any(|(at, word)| {
        let is_word = words(&code[number]).any(|w| w == word);
        let rest = code[number][at + word.len()..].trim_start();
        let next = || code[number + 1..].iter().map(|line| line.trim()).find(|line| !line.is_empty());
        let follows = if rest.is_empty() { next().unwrap_or_default() } else { rest };
        is_word && (follows.starts_with('{') || words(follows).next() == Some("impl"))
    })
}

/// Whether a SAFETY comment stands on the line, or above it with only attributes, other comments and earlier lines
/// of the same statement between.
fn is_explained(lines: &[&str], code: &[String], number: usize) -> bool {
    let says = |line: &str| line.split_once("//").is_some_and(|(_, comment)| comment.contains("SAFETY:"));
    if says(lines[number]) {
        return true;
    }
    for above in (0..number).rev() {
        let (line, code) = (lines[above].trim(), code[above].trim());
        let comment = line.starts_with("//");
        if comment && says(line) {
            return true;
        }
        let statement_goes_on = !code.is_empty() && !code.ends_with([';', '{', '}', ',']);
        if !comment && !code.starts_with("#[") && !statement_goes_on {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::code::code_lines;
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let file = SourceFile { path: "a.rs".to_owned(), text: text.to_owned() };
        check(&file, &code_lines(text)).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_block_without_reason_is_seen() {
        assert_eq!(places("fn f() {\n    unsafe { g() }\n}\n"), ["a.rs:2"]);
        assert_eq!(places("let x = unsafe\n{\n g() };\n"), ["a.rs:1"]);
        assert_eq!(places("unsafe impl Send for A {}\n"), ["a.rs:1"]);
        assert_eq!(
            places("// SAFETY: for the first only.\nlet a = unsafe { g() };\nlet b = unsafe { g() };"),
            ["a.rs:3"]
        );
        assert_eq!(places("// It is safe.\nunsafe { g() }\n"), ["a.rs:2"]);
    }

    #[test]
    fn a_reason_near_by_is_enough() {
        for text in [
            "// SAFETY: x is alive.\nunsafe { g(x) }",
            "// SAFETY: two\n// lines.\n#[inline]\nlet y = unsafe { g(x) };",
            "// SAFETY: x is alive.\nlet y =\n    unsafe { g(x) };",
            "let y = unsafe { g(x) }; // SAFETY: x is alive.",
            "match a {\n    // SAFETY: x is alive.\n    B => unsafe { g(x) },\n}",
        ] {
            assert!(places(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn texts_and_functions_are_no_blocks() {
        for text in ["// unsafe { }", "let s = \"unsafe {\";", "unsafe fn f() {}", "unsafe_op_in_unsafe_fn {"]
        {
            assert!(places(text).is_empty(), "{text}");
        }
    }
}
