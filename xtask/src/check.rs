//! `cargo xtask check`: everything that must hold before a change goes in.
//!
//! Clippy, the documentation and the tests use one profile and one set of features, so the
//! dependencies are read once (for clippy and the documentation) and built once (for the tests).
//! The facade is looked at with each of its features alone, as a project that depends on one family
//! builds it.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::{fuzz, invariants, libtorch, machines, step, suite};

type Step = (&'static str, fn(&Path) -> Result<()>);

/// The steps by name, cheap ones first. A new step is a line here.
const STEPS: [Step; 12] = [
    ("formatting", |root| cargo(root, &["fmt", "--all", "--", "--check"])),
    ("invariants", invariants::require),
    ("libtorch", libtorch::ensure),
    ("clippy", |root| cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("families", each_family_alone),
    ("documentation", documentation),
    ("tests", |root| suite::run(root, &[])),
    ("levels", machines::levels),
    ("aarch64", machines::aarch64),
    ("fuzz", |root| fuzz::fuzz(root, &[], 5, Some(13))),
    ("packages", packages),
    ("licences", licences),
];

/// The names of all steps, in order.
pub fn names() -> [&'static str; STEPS.len()] {
    STEPS.map(|(name, _)| name)
}

/// Runs all steps, or those of `only`; the first that fails ends the task.
pub fn check(root: &Path, only: &[String]) -> Result<()> {
    let start = Instant::now();
    for (name, work) in STEPS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            step::step(name, || work(root))?;
        }
    }
    eprintln!("Everything holds ({:.1?}).", start.elapsed());
    Ok(())
}

fn cargo(root: &Path, args: &[&str]) -> Result<()> {
    step::run(step::cargo(root).args(args))
}

fn each_family_alone(root: &Path) -> Result<()> {
    for family in ["full", "sampled", "hierarchical", "adaptive", "mixture"] {
        let features = ["--no-default-features", "--features", family];
        let package = ["clippy", "--quiet", "--package", "lexmax"];
        cargo(root, &[package.as_slice(), &features, &["--", "-D", "warnings"]].concat())?;
    }
    Ok(())
}

fn documentation(root: &Path) -> Result<()> {
    let mut command = step::cargo(root);
    command.env("RUSTDOCFLAGS", "-D warnings");
    step::run(command.args(["doc", "--workspace", "--no-deps"]))
}

/// Every package that may be published is put together without building it: a file outside of its
/// folder, or a dependency without version, is told here.
fn packages(root: &Path) -> Result<()> {
    cargo(root, &["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"])
}

/// Licences, sources and advisories of all dependencies, where cargo-deny is installed.
fn licences(root: &Path) -> Result<()> {
    if !step::answers("cargo-deny", &["--version"]) {
        eprintln!("    skipped: cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    cargo(root, &["deny", "check"])
}
