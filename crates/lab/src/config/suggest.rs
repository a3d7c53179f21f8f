//! From serde's messages to ours: the unknown key, the nearest known one, and all of them.

/// Rewrites `unknown field` and `unknown variant` messages with the nearest known name; joins lines of others.
pub(crate) fn explain(message: &str) -> String {
    explain_among(message, &[])
}

/// As [`explain`], where a section has keys that serde is not shown.
pub(crate) fn explain_among(message: &str, more_keys: &[&str]) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    let place = rest.iter().find_map(|line| line.strip_prefix("in ")).map(|key| format!(" in {key}"));
    let place = place.unwrap_or_default();
    for (kind, ours) in [("unknown field ", "unknown key "), ("unknown variant ", "unknown name ")] {
        if let Some(tail) = first.strip_prefix(kind) {
            let mut names = quoted(tail);
            if names.is_empty() {
                continue;
            }
            let given = names.remove(0);
            if kind.starts_with("unknown field") {
                names.extend(more_keys.iter().map(|&key| key.to_owned()));
            }
            return format!("{ours}`{given}`{place}{}", nearest_and_all(&given, &names));
        }
    }
    format!("{first}{place}")
}

/// `; did you mean ...? Expected one of ...`, for a name that is not among `known`.
pub(crate) fn nearest_and_all<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    if known.is_empty() {
        return "; no key is expected here".to_owned();
    }
    let nearest =
        nearest(given, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or(";".to_owned());
    let all: Vec<String> = known.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    format!("{nearest} expected one of {}", all.join(", "))
}

/// The most similar known name, if any is similar at all.
fn nearest<'a, S: AsRef<str>>(given: &str, known: &'a [S]) -> Option<&'a str> {
    most_similar(given, known, 0.7)
}

/// The most similar known name whose similarity is more than `least`: 0 for strangers, 1 for the same.
pub(crate) fn most_similar<'a, S: AsRef<str>>(given: &str, known: &'a [S], least: f64) -> Option<&'a str> {
    let scored = known.iter().map(|name| (strsim::jaro_winkler(given, name.as_ref()), name.as_ref()));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > least).map(|(_, name)| name)
}

/// The words between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_get_the_nearest_name() {
        let ours = explain("unknown field `lerning_rate`, expected one of `batch`, `learning_rate`, `clip`");
        let all = "expected one of `batch`, `learning_rate`, `clip`";
        assert_eq!(ours, format!("unknown key `lerning_rate`; did you mean `learning_rate`? {all}"));
        assert_eq!(
            explain("unknown variant `zzz`, expected `full` or `mos`"),
            "unknown name `zzz`; expected one of `full`, `mos`"
        );
    }

    #[test]
    fn other_messages_keep_their_key() {
        let ours = explain("invalid type: string \"x\", expected usize\nin `training.batch`\n");
        assert_eq!(ours, "invalid type: string \"x\", expected usize in `training.batch`");
    }
}
