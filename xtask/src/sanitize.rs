//! `cargo xtask sanitize`: the kernels' tests under AddressSanitizer, at each level of vector
//! instructions.
//!
//! The sanitizer is a part of nightly toolchains. Where rustup has none the task says so and ends
//! well: it looks for faults in addition to `check`, which needs no nightly.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{machines, step};

/// The package whose code is unsafe by design: registers, raw parts of slices, tables that threads
/// share.
const PACKAGE: &str = "lexmax-kernels";

/// Runs unit and integration tests of the kernels once for each level; doctests are left out.
pub fn sanitize(root: &Path) -> Result<()> {
    if !step::answers("rustup", &["run", "nightly", "rustc", "-vV"]) {
        eprintln!("    skipped: it needs a nightly toolchain (`rustup toolchain install nightly`)");
        return Ok(());
    }
    for level in machines::available_levels() {
        step::step(&format!("address sanitizer, {level}"), || {
            let mut command = Command::new("rustup");
            step::same_cases(&mut command);
            command.current_dir(root);
            command.args(["run", "nightly", "cargo", "test", "--package", PACKAGE, "--lib", "--tests"]);
            // With a target named, build scripts and macros are built without the sanitizer.
            command.args(["--target", "host-tuple", "--target-dir", "target/sanitize"]);
            command.env("RUSTFLAGS", "-Zsanitizer=address").env("LEXMAX_LEVEL", level);
            step::run(&mut command)
        })?;
    }
    Ok(())
}
