//! `cargo xtask check`: everything that must hold before a change goes in.
//!
//! Clippy, the documentation and the tests use one profile and one set of features, so the dependencies are read
//! once (for clippy and the documentation) and built once (for the tests). The facade is looked at with each of its features alone,
//! as a project that depends on one family builds it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::{invariants, libtorch, step, suite};

/// Cheap steps first; the first that fails ends the task.
pub fn check(root: &Path) -> Result<()> {
    let start = Instant::now();
    step::step("formatting", || step::run(step::cargo(root).args(["fmt", "--all", "--", "--check"])))?;
    step::step("invariants", || invariants::require(root))?;
    step::step("libtorch", || libtorch::ensure(root))?;
    step::step("clippy", || {
        let mut command = step::cargo(root);
        step::run(command.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    step::step("each family alone", || {
        for family in ["full", "sampled", "hierarchical", "adaptive", "mixture"] {
            let mut command = step::cargo(root);
            command.args(["clippy", "--quiet", "--package", "lexmax", "--no-default-features"]);
            step::run(command.args(["--features", family, "--", "-D", "warnings"]))?;
        }
        Ok(())
    })?;
    step::step("documentation", || {
        let mut command = step::cargo(root);
        command.env("RUSTDOCFLAGS", strict_rustdoc(std::env::var_os("RUSTDOCFLAGS")));
        step::run(command.args(["doc", "--workspace", "--no-deps"]))
    })?;
    step::step("tests", || suite::run(root, &[]))?;
    eprintln!("Everything holds ({}).", step::duration(start.elapsed()));
    Ok(())
}

/// The user's rustdoc flags, with warnings as errors.
fn strict_rustdoc(given: Option<OsString>) -> OsString {
    let mut flags = given.unwrap_or_default();
    if !flags.is_empty() {
        flags.push(" ");
    }
    flags.push("-D warnings");
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustdoc_flags_of_the_user_stay() {
        assert_eq!(strict_rustdoc(None), "-D warnings");
        assert_eq!(strict_rustdoc(Some("--cfg docs".into())), "--cfg docs -D warnings");
    }
}
