//! `cargo xtask test`: the whole test suite.

use std::path::Path;

use anyhow::Result;

use crate::{libtorch, step};

/// Installs libtorch where it is missing and runs `cargo test` with the user's arguments.
pub fn test(root: &Path, args: &[String]) -> Result<()> {
    step::step("libtorch", || libtorch::ensure(root))?;
    step::step("tests", || run(root, args))
}

/// Runs the tests alone, of the whole workspace unless `args` say more. `check` runs them by the
/// same command, so the dependencies are built once.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let mut command = step::cargo(root);
    command.arg("test");
    // A choice of packages does not go with `--workspace`; a filter alone is for the default
    // members, which are all libraries and programs.
    if args.is_empty() {
        command.arg("--workspace");
    }
    step::run(command.args(args))
}
