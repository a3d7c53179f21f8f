//! Known names near a wrong one: the one rule behind every "did you mean".

/// Nearest of the known names to one that is not among them; the first of equals.
///
/// A name is near when at most a third of its letters (and always one) must be changed, left out,
/// put in or swapped with its neighbour; capitals do not count.
///
/// ```
/// use lexmax_records::nearest;
///
/// assert_eq!(nearest("lerning_rate", &["batch", "learning_rate"]), Some("learning_rate"));
/// assert_eq!(nearest("momentum", &["batch", "learning_rate"]), None);
/// ```
pub fn nearest<'a, S: AsRef<str>>(given: &str, known: &'a [S]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let most = (given.chars().count() / 3).max(1);
    let edits = known
        .iter()
        .map(AsRef::as_ref)
        .map(|name| (strsim::osa_distance(&given, &name.to_lowercase()), name));
    edits.filter(|(edits, _)| *edits <= most).min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// Tail of a message about a wrong name: `; did you mean ...?` where one is near, and all the names
/// there are.
///
/// ```
/// let known = ["full", "mos"];
/// assert_eq!(lexmax_records::expected_names("ful", &known), "; did you mean `full`? expected one of `full`, `mos`");
/// assert_eq!(lexmax_records::expected_names("x", &known), "; expected one of `full`, `mos`");
/// ```
pub fn expected_names<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    let nearest = nearest(given, known).map_or(";".to_owned(), |name| format!("; did you mean `{name}`?"));
    let all: Vec<String> = known.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match all.as_slice() {
        [] => "; no name is expected here".to_owned(),
        [only] => format!("{nearest} expected {only}"),
        all => format!("{nearest} expected one of {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["full", "full tied", "huffman", "nce"];
        assert_eq!(nearest("fulll", &known), Some("full"));
        assert_eq!(nearest("Hufman", &known), Some("huffman"));
        assert_eq!(nearest("ncf", &known), Some("nce"));
        assert_eq!(nearest("adaptive", &known), None);
        assert_eq!(nearest("full", &[] as &[&str]), None);
        let keys = ["batch", "bptt", "name", "grid", "layer", "kind", "soft_cap"];
        for (typo, meant) in [("bathc", "batch"), ("nme", "name"), ("gird", "grid"), ("soft_kap", "soft_cap")]
        {
            assert_eq!(nearest(typo, &keys), Some(meant));
        }
        assert_eq!(nearest("samples", &keys), None);
    }
}
