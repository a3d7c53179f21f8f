//! The Python whose pip fetches the wheels. It is needed for the installation only, never at run time.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// The names under which Python is looked for, in this order.
pub const NAMES: [&str; 2] = ["python3", "python"];

/// The first of `names` that starts and has pip. `answers` says whether a program ends well with these arguments
/// (see [`runs`]).
pub fn with_pip<'a>(names: &[&'a str], answers: impl Fn(&str, &[&str]) -> bool) -> Result<&'a str> {
    let mut without_pip = Vec::new();
    for name in names {
        if !answers(name, &["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]) {
            continue;
        }
        if answers(name, &["-m", "pip", "--version"]) {
            return Ok(name);
        }
        without_pip.push(*name);
    }
    let otherwise = "or get libtorch by hand and point LIBTORCH to it";
    match without_pip.first() {
        Some(python) => bail!(
            "`{python} -m pip` does not work: this Python has no pip; install it (`{python} -m ensurepip`, on Debian \
             and Ubuntu the package python3-pip), {otherwise}"
        ),
        None => bail!(
            "there is no Python 3.8 or later (tried {}); pip fetches libtorch, so install Python with pip (on Debian \
             and Ubuntu the package python3-pip), {otherwise}",
            names.join(", ")
        ),
    }
}

/// Whether the program starts and ends well, in silence.
pub fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn absence_is_told() {
        let error = with_pip(&["no-python-here", "nor-here"], runs).unwrap_err().to_string();
        assert!(error.contains("tried no-python-here, nor-here"), "{error}");
        assert!(runs("true", &["-x"]) && !runs("false", &["-x"]));
    }

    #[test]
    fn a_python_without_pip_is_passed_over_or_told() {
        let only_b_has_pip = |name: &str, args: &[&str]| args[0] == "-c" || name == "b";
        assert_eq!(with_pip(&["a", "b"], only_b_has_pip).unwrap(), "b");
        let error = with_pip(&["a"], only_b_has_pip).unwrap_err().to_string();
        assert!(error.contains("`a -m pip` does not work"), "{error}");
    }
}
