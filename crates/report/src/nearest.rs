//! Which known name a wrong one was meant for.

/// The known name that the fewest edits lead to, where these are at most a third of the letters; the first of equals.
pub fn nearest(name: &str, known: &[String]) -> Option<String> {
    let wrong = name.to_lowercase();
    let most = (wrong.chars().count() / 3).max(1);
    known
        .iter()
        .map(|right| (strsim::levenshtein(&wrong, &right.to_lowercase()), right))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, right)| right.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

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
