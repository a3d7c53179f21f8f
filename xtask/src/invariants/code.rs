//! Rust text with comments and literals blanked out, so that a search finds code only.

/// The lines of `text`, each of the same length in characters, with spaces in the place of comments and of what
/// stands in string and character literals.
pub fn code_lines(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut blank = vec![false; chars.len()];
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        match end {
            Some(end) => {
                blank[at..end].fill(true);
                at = end;
            }
            None => at += 1,
        }
    }
    let code: String =
        chars.iter().zip(&blank).map(|(&c, &gone)| if gone && c != '\n' { ' ' } else { c }).collect();
    code.lines().map(str::to_owned).collect()
}

/// Where the comment or literal that begins at `at` ends; `None` where none begins.
fn token_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => Some(find(chars, at, |c| c == '\n')),
        ('/', Some('*')) => Some(block_comment_end(chars, at)),
        ('"', _) => Some(string_end(chars, at + 1)),
        ('\'', Some('\\')) => Some((find(chars, at + 3, |c| c == '\'') + 1).min(chars.len())),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        ('r', Some('"' | '#')) if !in_word(chars, at) => raw_string_end(chars, at + 1),
        _ => None,
    }
}

/// Whether the character before `at` makes it part of a longer name; the `b` and `c` of byte and C strings do not.
fn in_word(chars: &[char], at: usize) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    match at.checked_sub(1).map(|before| chars[before]) {
        Some('b' | 'c') => at >= 2 && is_name(chars[at - 2]),
        Some(c) => is_name(c),
        None => false,
    }
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&i| wanted(chars[i])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i.min(chars.len())
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut i = from;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// `from` is behind the `r`. A raw identifier such as `r#type` is no string.
fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let open = find(chars, from, |c| c != '#');
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let hashes = open - from;
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|k| chars.get(i + k) == Some(&'#'));
    let end = (open + 1..chars.len()).find(|&i| closes(i));
    Some(end.map_or(chars.len(), |end| end + 1 + hashes))
}

/// The names and keywords of a line of code.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        let cases = [
            ("a // unsafe", "a"),
            ("a /* x /* y */ z */ b", "a                   b"),
            ("f(\"unsafe { \\\" }\", 1)", "f(               , 1)"),
            ("r\"a\\\" + b", "      + b"),
            ("r#\"a\" b\"# + c", "          + c"),
            ("br##\"\"#\"## + c", "b          + c"),
            ("r#type + for\"x\"", "r#type + for"),
            ("let c = '\"'; d", "let c =    ; d"),
            ("let c = '\\''; d", "let c =     ; d"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ];
        for (text, code) in cases {
            let lines = code_lines(text);
            assert_eq!(lines[0].trim_end(), code, "{text}");
            assert_eq!(lines[0].chars().count(), text.chars().count(), "{text}");
        }
    }

    #[test]
    fn lines_stay_in_their_places() {
        let lines = code_lines("a\n/* b\nc */ d\n\"e\nf\" g\n\nh");
        let trimmed: Vec<_> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(trimmed, ["a", "", "d", "", "g", "", "h"]);
    }

    #[test]
    fn open_ends_are_no_panic() {
        for text in ["\"a\\", "'\\", "/* a", "r#\"a", "b'", "r", "'"] {
            assert_eq!(code_lines(text).len(), 1, "{text}");
        }
    }
}
