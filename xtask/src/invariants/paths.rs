//! No file names a home folder of somebody's machine.

use super::tree::SourceFile;
use super::violation;

/// Beginnings of home folders; in halves, so that this file does not name one.
const HOMES: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("\\Us", "ers\\")];

/// Looks at one text file.
pub fn check(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if let Some(home) = HOMES.iter().find(|home| names(line, home)) {
            let what = format!("names a path of one machine (`{home}...`, a home folder)");
            let expected = "a path relative to the workspace, or a variable";
            found.push(violation(format!("{}:{}", file.path, number + 1), what, expected));
        }
    }
    found
}

/// Whether an absolute path begins there: not in the middle of another path or address, and with
/// something in it.
fn names(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + home.len()..].chars().next();
        let begins =
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | '>'));
        begins && after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(text: &str) -> Vec<String> {
        let file = SourceFile { path: "README.md".to_owned(), text: text.to_owned() };
        check(&file).iter().filter_map(|line| line.split(": ").next()).map(str::to_owned).collect()
    }

    #[test]
    fn home_folders_are_seen() {
        for home in HOMES {
            let text = format!("fine\nopen(\"{home}someone/x\")\nC:{home}someone\n");
            assert_eq!(lines_found(&text), ["README.md:2", "README.md:3"], "{home}");
        }
    }

    #[test]
    fn other_paths_are_not() {
        let home = HOMES[0];
        for text in [format!("https://site.org{home}page"), format!("docs{home}x"), format!("`{home}`")] {
            assert!(lines_found(&text).is_empty(), "{text}");
        }
        assert!(lines_found("../shared/data and $HOME/x").is_empty());
    }
}
