//! Checks that stand in for other machines: fewer vector instructions, other numbers of threads,
//! another architecture.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::step;

const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// Runs the kernels' suite at every level of vector instructions that this processor has, and with
/// 1 and 3 threads the layers that use the kernels most.
pub fn levels(root: &Path) -> Result<()> {
    let programs = test_programs(root)?;
    for level in available_levels() {
        run(&programs, &["kernels"], ("LEXMAX_LEVEL", level))?;
    }
    for threads in ["1", "3"] {
        run(&programs, &["full", "output"], ("OMP_NUM_THREADS", threads))?;
    }
    Ok(())
}

/// Runs the test programs of these crates, each in the folder of its crate, with a variable set.
fn run(programs: &[Program], crates: &[&str], (name, value): (&str, &str)) -> Result<()> {
    eprintln!("    {name}={value}");
    for Program { folder, executable } in programs {
        if crates.iter().any(|name| folder.ends_with(format!("crates/{name}"))) {
            let mut command = Command::new(executable);
            step::same_cases(&mut command);
            step::run(command.arg("--quiet").current_dir(folder).env(name, value))?;
        }
    }
    Ok(())
}

/// A test program that cargo built, and the folder of its package.
struct Program {
    folder: PathBuf,
    executable: PathBuf,
}

/// The programs of the whole suite: a choice of packages would build their dependencies anew, with
/// fewer features.
fn test_programs(root: &Path) -> Result<Vec<Program>> {
    let mut command = step::cargo(root);
    command.args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start `cargo test`")?;
    ensure!(output.status.success(), "`cargo test --no-run` ended with {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let program = |message: &Value| {
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        Some(Program { folder, executable: message["executable"].as_str()?.into() })
    };
    let programs: Vec<_> =
        messages.iter().filter(|message| message["profile"]["test"] == true).filter_map(program).collect();
    ensure!(!programs.is_empty(), "`cargo test --no-run` names no test program");
    Ok(programs)
}

/// The levels by the names that lexmax-kernels gives them, slowest first.
pub fn available_levels() -> Vec<&'static str> {
    let mut levels = vec!["portable"];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push("avx2");
        }
        if is_x86_feature_detected!("avx512f") && levels.contains(&"avx2") {
            levels.push("avx512");
        }
    }
    levels
}

/// Compiles the packages without libtorch for aarch64, where rustup has its standard library.
pub fn aarch64(root: &Path) -> Result<()> {
    let mut rustc = Command::new("rustc");
    let output = rustc.args(["--print", "target-libdir", "--target", AARCH64]).output();
    let folder = output.context("cannot start `rustc`")?.stdout;
    if !Path::new(String::from_utf8_lossy(&folder).trim()).is_dir() {
        eprintln!("    skipped: target not installed (rustup target add {AARCH64})");
        return Ok(());
    }
    let mut command = step::cargo(root);
    command.args(["check", "--target", AARCH64, "--lib"]);
    command.args(["--package=lexmax-kernels", "--package=lexmax-corpus", "--package=lexmax-metrics"]);
    command.args(["--package=lexmax-dataset", "--package=lexmax-records"]);
    if step::answers("aarch64-linux-gnu-gcc", &["--version"]) {
        command.arg("--package=lexmax-report");
    } else {
        // A check links nothing, so the compiler of this machine serves for C, though not for the
        // assembler in dependencies of the report.
        eprintln!(
            "    without lexmax-report: there is no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)"
        );
        command.env("CC_aarch64_unknown_linux_gnu", "cc").env("AR_aarch64_unknown_linux_gnu", "ar");
    }
    step::run(&mut command)
}
