//! `cargo xtask fuzz`: builds the fuzz targets of `fuzz/` and runs them for a while each.
//!
//! The folder has the layout of cargo-fuzz, which can run the targets too, with a sanitizer. This
//! task needs neither it nor a nightly toolchain: a pass of the stable compiler counts coverage.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{libtorch, step};

/// A target's name, and whether it links libtorch.
type Target = (&'static str, bool);

const TARGETS: [Target; 6] = [
    ("text", false),
    ("vocab", false),
    ("corpus", false),
    ("record", false),
    ("checkpoint", true),
    ("experiment", true),
];
/// Coverage as libFuzzer reads it: counters of edges, a table of their places, and operands of
/// comparisons.
const COVERAGE: &str = "--cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Most memory of a target, MiB, and most seconds for one input.
const LIMITS: [&str; 3] = ["-rss_limit_mb=2048", "-timeout=10", "-max_len=65536"];

/// The names of all targets.
pub fn names() -> [&'static str; TARGETS.len()] {
    TARGETS.map(|(name, _)| name)
}

/// Runs the targets named, all where none is, for so many seconds each. With a seed the inputs are
/// the same at every run on a clean checkout, as a check wants; without one they are new.
pub fn fuzz(root: &Path, wanted: &[String], seconds: u64, seed: Option<u32>) -> Result<()> {
    let is_wanted = |(name, _): &Target| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let targets: Vec<Target> = TARGETS.into_iter().filter(is_wanted).collect();
    if targets.iter().any(|(_, libtorch)| *libtorch) {
        libtorch::ensure(root)?;
    }
    for (name, libtorch) in targets {
        step::step(&format!("fuzz {name}"), || run(root, name, libtorch, seconds, seed))?;
    }
    Ok(())
}

/// Builds and runs one target. New inputs go to its folder below `fuzz/corpus`; the seeds are only
/// read.
fn run(root: &Path, name: &str, lab: bool, seconds: u64, seed: Option<u32>) -> Result<()> {
    let folder = root.join("fuzz");
    let [found, artifacts, seeds] = ["corpus", "artifacts", "seeds"].map(|part| folder.join(part).join(name));
    for made in [&found, &artifacts] {
        std::fs::create_dir_all(made).with_context(|| format!("make `{}`", made.display()))?;
    }
    let mut command = step::cargo(root);
    // With a target named, build scripts and macros are built without counters.
    command.args(["run", "--manifest-path", "fuzz/Cargo.toml", "--target", "host-tuple", "--bin", name]);
    command.args(lab.then_some("--features=lab")).env("RUSTFLAGS", COVERAGE);
    command.arg("--").arg(&found).arg(&seeds).args(LIMITS).arg(format!("-max_total_time={seconds}"));
    command.args(seed.map(|seed| format!("-seed={seed}")));
    step::run(command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg("-print_final_stats=1"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_target_has_a_file_and_seeds() {
        let folder = crate::workspace::root().join("fuzz");
        for name in names() {
            assert!(folder.join("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name}");
            assert!(folder.join("seeds").join(name).read_dir().unwrap().count() > 0, "{name}");
        }
        let files = folder.join("fuzz_targets").read_dir().unwrap().count();
        assert_eq!(files, TARGETS.len(), "a target that no run reaches");
    }
}
