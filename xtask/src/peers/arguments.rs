//! The arguments of `cargo xtask peers`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// An interpreter that has the other packages.
    pub python: Option<PathBuf>,
    /// Smaller sizes, little time for each case.
    pub quick: bool,
    /// Only one group of cases.
    pub only: Option<String>,
    /// Only table and charts, from stored lines.
    pub report_only: bool,
    /// Threads of both sides.
    pub threads: usize,
}

impl Arguments {
    /// Reads them.
    pub fn parse(given: &[String]) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut found = Self { python: None, quick: false, only: None, report_only: false, threads: cores };
        let mut rest = given.iter();
        while let Some(option) = rest.next() {
            let mut value = |what: &str| {
                let value = rest.next().filter(|value| !value.starts_with("--"));
                value.with_context(|| format!("`cargo xtask peers {option}` expects {what} after it"))
            };
            match option.as_str() {
                "--python" => found.python = Some(value("the path of a Python interpreter")?.into()),
                "--only" => found.only = Some(value("the name of a group of cases, as in `full`")?.clone()),
                "--threads" => {
                    let given = value("a number of threads")?;
                    let threads = given.parse().ok().filter(|threads| *threads > 0);
                    found.threads = threads.with_context(|| {
                        format!("`cargo xtask peers --threads {given}`: expected a whole number from 1 up")
                    })?;
                }
                "--quick" => found.quick = true,
                "--report-only" => found.report_only = true,
                other => bail!(
                    "`cargo xtask peers` does not know `{other}`; expected --python PATH, --quick, --only GROUP, \
                     --threads N or --report-only"
                ),
            }
        }
        if found.report_only && (found.only.is_some() || found.python.is_some()) {
            bail!(
                "`cargo xtask peers --report-only` times nothing; expected no --only and no --python with it"
            );
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(given: &[&str]) -> Result<Arguments> {
        Arguments::parse(&given.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let found =
            parse(&["--quick", "--only", "mos", "--python", "venv/bin/python", "--threads", "3"]).unwrap();
        assert!(found.quick && !found.report_only);
        assert_eq!(found.only.as_deref(), Some("mos"));
        assert_eq!(found.python, Some("venv/bin/python".into()));
        assert_eq!(found.threads, 3);
        assert!(parse(&[]).unwrap().threads >= 1);
    }

    #[test]
    fn errors_name_what_was_expected() {
        for (given, expected) in [
            (&["--fast"][..], "expected --python PATH, --quick"),
            (&["mos"], "does not know `mos`"),
            (&["--python"], "expects the path of a Python"),
            (&["--only", "--quick"], "expects the name of a group"),
            (&["--threads", "0"], "expected a whole number from 1 up"),
            (&["--threads", "two"], "--threads two"),
            (&["--report-only", "--only", "mos"], "times nothing"),
        ] {
            let error = parse(given).unwrap_err().to_string();
            assert!(error.contains(expected), "{given:?}: {error}");
        }
    }
}
