//! The prose rule, as far as a program can see it: comments, names of tests and names of types.

use super::tree::SourceFile;
use super::violation;

/// A lint: the expectation, and a function that finds the lines of a text that break it.
type Lint = (&'static str, fn(&str) -> Vec<(usize, String)>);

const LINTS: [Lint; 4] = [
    ("at most 100 columns", width),
    ("a first sentence that names its subject", first_word),
    ("subject_condition_result in at most 60 characters", test_name),
    ("a name that the prelude does not have", prelude),
];

/// First words of a doc comment that lean on a neighbour: in a hover the text stands alone.
const LEANING: [&str; 9] = ["What", "As", "Where", "Of", "The same", "Those", "It", "Their", "By"];
/// First words of a test's name that name no subject.
const NO_SUBJECT: [&str; 11] =
    ["what", "it", "its", "they", "their", "this", "that", "these", "those", "there", "here"];
/// Types and traits that every file knows without importing them.
const PRELUDE: &str = "AsMut AsRef Box Clone Copy Debug Default DoubleEndedIterator Drop Eq ExactSizeIterator \
    Extend Fn FnMut FnOnce From FromIterator Hash Into IntoIterator Iterator Option Ord PartialEq PartialOrd \
    Result Send Sized String Sync ToOwned ToString TryFrom TryInto Unpin Vec";

/// Finds the places of a Rust file that break the rule.
pub fn check(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (expected, lint) in LINTS {
        let places = lint(&file.text).into_iter();
        found.extend(
            places.map(|(number, what)| violation(format!("{}:{number}", file.path), what, expected)),
        );
    }
    found
}

/// Finds wide comments. Addresses, tables and examples of a doc comment cannot be wrapped.
fn width(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut example = false;
    for (number, line) in numbered(text) {
        let doc = doc_text(line);
        example &= doc.is_some();
        example ^= doc.is_some_and(|doc| doc.starts_with("```"));
        let unbroken = example || doc.is_some_and(|doc| doc.starts_with('|') || doc.contains("]: "));
        let columns = line.chars().count();
        if columns > 100 && has_comment(line) && !unbroken && !line.contains("://") {
            found.push((number, format!("a comment of {columns} columns")));
        }
    }
    found
}

/// Finds doc comments whose first word leans on a neighbour.
fn first_word(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut above = None;
    for (number, line) in numbered(text) {
        let doc = doc_text(line);
        let begins = |word: &&str| {
            let rest = doc.and_then(|doc| doc.strip_prefix(*word));
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        if let Some(word) = LEANING.into_iter().find(begins).filter(|_| above.is_none()) {
            found.push((number, format!("a doc comment begins with `{word}`")));
        }
        above = doc;
    }
    found
}

/// Finds tests whose name is too long or names no subject.
fn test_name(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut marked = false;
    for (number, line) in numbered(text) {
        let line = line.trim();
        marked |= line == "#[test]";
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked && !line.starts_with("//")) {
            marked = false;
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            let subject = name.split('_').next().unwrap_or_default();
            if name.chars().count() > 60 || NO_SUBJECT.contains(&subject) {
                found.push((number, format!("the test `{name}`")));
            }
        }
    }
    found
}

/// Finds types that take a name of the prelude.
fn prelude(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in numbered(text) {
        let mut words =
            line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe");
        if words.next().is_some_and(|kind| matches!(kind, "struct" | "enum" | "trait" | "union")) {
            let name = words.next().and_then(|word| word.split(|c: char| !c.is_alphanumeric()).next());
            if let Some(name) = name.filter(|name| PRELUDE.split(' ').any(|known| known == *name)) {
                found.push((number, format!("the type `{name}` shadows the prelude")));
            }
        }
    }
    found
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// The text of a line of a doc comment.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    (!doc.starts_with('/')).then(|| doc.trim())
}

/// Whether a line is a comment or ends with one: slashes after an open quote are no comment.
fn has_comment(line: &str) -> bool {
    let slashes = line.match_indices("//").map(|(at, _)| &line[..at]);
    slashes.into_iter().any(|code| code.matches('"').count().is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lint: fn(&str) -> Vec<(usize, String)>, text: &str) -> Vec<usize> {
        lint(text).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn comment_beyond_the_width_is_a_violation() {
        let long = "word ".repeat(20);
        for marker in ["//", "///", "    //!", "let x = \"//\"; //"] {
            assert_eq!(lines(width, &format!("short\n{marker} {long}\n")), [2], "{marker}");
        }
        assert_eq!(lines(width, &format!("/// ```\n/// x\n/// ```\n/// {long}")), [4]);
        for begin in ["let x = \"", "let x = \"// ", "// https://", "/// | ", "/// [`A`]: ", "/// ```\n/// "]
        {
            assert!(width(&format!("{begin}{long}")).is_empty(), "{begin}");
        }
        assert!(width(&format!("// {}", "\u{3b1}".repeat(97))).is_empty());
    }

    #[test]
    fn doc_comment_that_leans_on_a_neighbour_is_a_violation() {
        for word in LEANING {
            assert_eq!(lines(first_word, &format!("struct A;\n    /// {word} rows.\n")), [2], "{word}");
            assert_eq!(lines(first_word, &format!("//! {word}\n")), [1], "{word}");
        }
        assert_eq!(lines(first_word, "/// Rows.\na: u8,\n/// Of rows."), [3]);
        for text in ["/// Whatever.", "/// Rows.\n/// It is.", "// What this does.", "//// What"] {
            assert!(first_word(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn test_name_without_subject_or_too_long_is_a_violation() {
        let text =
            |name: &str| format!("#[test]\n#[ignore = \"slow\"]\nfn {name}() {{}}\nfn it_helps() {{}}\n");
        let long = "a".repeat(61);
        for name in ["it_is_right", "what_is_there_is_added", long.as_str()] {
            assert_eq!(lines(test_name, &text(name)), [3], "{name}");
        }
        for name in ["item_is_right", "thesaurus", &long[1..]] {
            assert!(test_name(&text(name)).is_empty(), "{name}");
        }
    }

    #[test]
    fn type_with_a_name_of_the_prelude_is_a_violation() {
        for text in ["enum From {", "pub(crate) struct Vec<T>;", "    pub unsafe trait Send {}"] {
            assert_eq!(lines(prelude, text), [1], "{text}");
        }
        for text in ["impl From<A> for B {", "pub type Result<T> = X;", "// enum From", "enum FromTile {"] {
            assert!(prelude(text).is_empty(), "{text}");
        }
    }
}
