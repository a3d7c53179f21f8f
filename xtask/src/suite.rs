//! `cargo xtask test`: the whole test suite.

use std::path::Path;

use anyhow::Result;

use crate::{libtorch, step};

/// Installs libtorch where it is missing and runs `cargo test`, with what the user gave after `--`.
pub fn test(root: &Path, args: &[String]) -> Result<()> {
    step::step("libtorch", || libtorch::ensure(root))?;
    step::step("tests", || run(root, args))
}

/// The tests alone, of the whole workspace unless `args` choose packages. `check` runs them by the same command,
/// so the dependencies are built once.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let args = match args.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => args,
    };
    let mut command = step::cargo(root);
    command.arg("test");
    if !chooses_packages(args) {
        command.arg("--workspace");
    }
    step::run(command.args(args))
}

fn chooses_packages(args: &[String]) -> bool {
    let of_cargo = args.iter().take_while(|arg| *arg != "--");
    let mut choices = of_cargo.filter(|arg| {
        let name = arg.split('=').next().unwrap_or_default();
        matches!(name, "--package" | "--workspace" | "--all" | "--manifest-path")
            || (arg.starts_with("-p") && !arg.starts_with("--"))
    });
    choices.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tested_unless_packages_are_chosen() {
        let chooses =
            |args: &[&str]| chooses_packages(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(!chooses(&[]));
        assert!(!chooses(&["gradient", "--no-fail-fast"]));
        assert!(!chooses(&["--profile", "release"]));
        assert!(!chooses(&["gradient", "--", "-p"]));
        assert!(chooses(&["-p", "lexmax-full"]));
        assert!(chooses(&["-plexmax-full"]));
        assert!(chooses(&["--package=lexmax-full"]));
    }
}
