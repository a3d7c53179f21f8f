//! Text of errors on the terminal.

use std::io::Write;

/// Writes `error: ...` with the causes that the message does not hold already.
pub fn show(error: &anyhow::Error) {
    // Standard error may be a terminal that was closed.
    let _ = writeln!(std::io::stderr(), "error: {}", with_causes(error));
}

/// Whether the user wanted the end.
pub fn is_interrupt(error: &anyhow::Error) -> bool {
    let interrupts = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(lexmax_corpus::CorpusError::Interrupted))
    };
    error.chain().any(interrupts)
}

fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let bare = anyhow::Error::new(missing()).context("read x.toml");
        assert_eq!(with_causes(&bare), "read x.toml: no such file");
        let told = anyhow::Error::new(missing()).context("read x.toml: no such file");
        assert_eq!(with_causes(&told), "read x.toml: no such file");
    }
}
