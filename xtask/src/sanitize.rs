//! `cargo xtask sanitize`: the kernels' tests under AddressSanitizer, at each level of vector
//! instructions.
//!
//! The sanitizer is a part of nightly toolchains. Where rustup has none the task says so and ends
//! well: it looks for faults in addition to `check`, which needs no nightly.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{machines, step};

/// The package whose code is unsafe by design: registers, raw parts of slices, tables that threads
/// share.
const PACKAGE: &str = "lexmax-kernels";

/// Runs unit and integration tests of the kernels once for each level; doctests are left out.
pub fn sanitize(root: &Path) -> Result<()> {
    let Some(host) = nightly_host() else {
        eprintln!(
            "    skipped: AddressSanitizer needs a nightly toolchain (`rustup toolchain install nightly`)"
        );
        return Ok(());
    };
    for level in machines::available_levels() {
        step::step(&format!("address sanitizer, {level}"), || {
            let mut command = Command::new("rustup");
            command.current_dir(root);
            command.args(["run", "nightly", "cargo", "test", "--package", PACKAGE, "--lib", "--tests"]);
            // With a target named, build scripts and macros are built without the sanitizer.
            command.args(["--target", &host, "--target-dir", "target/sanitize"]);
            command.env("RUSTFLAGS", "-Zsanitizer=address").env("LEXMAX_LEVEL", level);
            step::run(&mut command)
        })?;
    }
    Ok(())
}

/// The nightly toolchain's own target; none where there is no nightly toolchain.
fn nightly_host() -> Option<String> {
    let output = Command::new("rustup").args(["run", "nightly", "rustc", "-vV"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    host_of(&text).ok()
}

/// The host of `rustc -vV`.
pub(crate) fn host_of(version: &str) -> Result<String> {
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).with_context(|| format!("`rustc -vV` names no host: {version:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn host_is_read_from_the_version() {
        let text = "rustc 1.97.0-nightly\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.97.0\n";
        assert_eq!(host_of(text).unwrap(), "x86_64-unknown-linux-gnu");
        assert!(host_of("").unwrap_err().to_string().contains("no host"));
    }
}
