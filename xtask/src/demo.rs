//! `cargo xtask demo`: from nothing to the report of the quickstart experiment.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::{libtorch, step};

const EXPERIMENT: &str = "experiments/quickstart.toml";
/// Not `results/`: what is committed there would be taken for this machine's own runs.
const RESULTS: &str = "target/demo/quickstart";

/// libtorch where it is missing, the release build, the quickstart run and its report; prints where
/// the report is.
pub fn demo(root: &Path) -> Result<()> {
    step::step("libtorch", || libtorch::ensure(root))?;
    step::step("release build (the first one takes minutes, nearly all of it dependencies)", || {
        step::run(step::cargo(root).args(["build", "--release", "--package", "lexmax-cli"]))
    })?;
    step::step("quickstart experiment", || lexmax(root, &["run", EXPERIMENT, "--results", RESULTS]))?;
    step::step("report", || lexmax(root, &["report", RESULTS]))?;
    let page = root.join(RESULTS).join("report").join("report.html");
    ensure!(page.is_file(), "`lexmax report {RESULTS}` ended well but there is no `{}`", page.display());
    println!("The report: {}", page.display());
    println!("Next: edit {EXPERIMENT}, or run `cargo run --release -- help`.");
    Ok(())
}

/// The program through cargo, which knows the target folder and finds the fresh build in it.
fn lexmax(root: &Path, args: &[&str]) -> Result<()> {
    let mut command = step::cargo(root);
    command.args(["run", "--quiet", "--release", "--package", "lexmax-cli", "--bin", "lexmax", "--"]);
    step::run(command.args(args))
}
