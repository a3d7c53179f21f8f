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
    let found = LINTS.iter().flat_map(|(expected, lint)| {
        lint(&file.text).into_iter().map(move |(number, what)| (number, what, expected))
    });
    found
        .map(|(number, what, expected)| violation(format!("{}:{number}", file.path), what, expected))
        .collect()
}

/// Finds wide comments. Addresses, tables and examples of a doc comment cannot be wrapped.
fn width(text: &str) -> Vec<(usize, String)> {
    let mut example = false;
    each_line(text, |line| {
        let doc = doc_text(line);
        example &= doc.is_some();
        example ^= doc.is_some_and(|doc| doc.starts_with("```"));
        let unbroken = example || doc.is_some_and(|doc| doc.starts_with('|') || doc.contains("]: "));
        let columns = line.chars().count();
        let wide = columns > 100 && has_comment(line) && !unbroken && !line.contains("://");
        wide.then(|| format!("a comment of {columns} columns"))
    })
}

/// Finds doc comments whose first word leans on a neighbour.
fn first_word(text: &str) -> Vec<(usize, String)> {
    let mut above = None;
    each_line(text, |line| {
        let doc = doc_text(line);
        let begins = |word: &&str| {
            let rest = doc.and_then(|doc| doc.strip_prefix(*word));
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let first = std::mem::replace(&mut above, doc).is_none();
        let word = LEANING.into_iter().find(begins).filter(|_| first)?;
        Some(format!("a doc comment begins with `{word}`"))
    })
}

/// Finds tests whose name is too long or names no subject.
fn test_name(text: &str) -> Vec<(usize, String)> {
    let mut marked = false;
    each_line(text, |line| {
        let line = line.trim();
        marked |= line == "#[test]";
        let (_, rest) = line.split_once("fn ").filter(|_| marked && !line.starts_with("//"))?;
        marked = false;
        let name = rest.split(['(', '<']).next()?;
        let wrong = name.chars().count() > 60 || NO_SUBJECT.contains(&name.split('_').next()?);
        wrong.then(|| format!("the test `{name}`"))
    })
}

/// Finds types that take a name of the prelude.
fn prelude(text: &str) -> Vec<(usize, String)> {
    each_line(text, |line| {
        let words = line.split_whitespace();
        let mut words = words.skip_while(|word| word.starts_with("pub") || *word == "unsafe");
        words.next().filter(|word| matches!(*word, "struct" | "enum" | "trait" | "union"))?;
        let name = words.next()?.split(|c: char| !c.is_alphanumeric()).next()?;
        let known = PRELUDE.split(' ').any(|known| known == name);
        known.then(|| format!("the type `{name}` shadows the prelude"))
    })
}

/// Places, by the number of their line, where `find` finds something.
fn each_line<'a>(text: &'a str, mut find: impl FnMut(&'a str) -> Option<String>) -> Vec<(usize, String)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, find(line)?))).collect()
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
