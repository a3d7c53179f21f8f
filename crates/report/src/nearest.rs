//! Which known name a wrong one was meant for.

/// The known name that the fewest edits lead to, where these are at most a third of the letters; the first of equals.
pub fn nearest(name: &str, known: &[String]) -> Option<String> {
    let wrong = name.to_lowercase();
    let most = (wrong.chars().count() / 3).max(1);
    known
        .iter()
        .map(|right| (edits(&wrong, &right.to_lowercase()), right))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, right)| right.clone())
}

/// Letters to insert, remove or replace on the way from one text to the other (Levenshtein's distance).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let kept = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = kept.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let cases =
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("é", "e", 1), ("full", "full", 0)];
        for (from, to, expected) in cases {
            assert_eq!(edits(from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known: Vec<String> = ["full", "full tied", "huffman", "nce"].map(Into::into).into();
        assert_eq!(nearest("fulll", &known).as_deref(), Some("full"));
        assert_eq!(nearest("Hufman", &known).as_deref(), Some("huffman"));
        assert_eq!(nearest("ncf", &known).as_deref(), Some("nce"));
        assert_eq!(nearest("adaptive", &known), None);
        assert_eq!(nearest("full", &[]), None);
    }
}
