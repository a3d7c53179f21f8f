//! Checks that stand in for other machines: fewer vector instructions, other numbers of threads,
//! another architecture.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step;

const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// Runs the kernels' suite at every level of vector instructions that this processor has, and with
/// 1 and 3 threads the layers that use the kernels most.
pub fn levels(root: &Path) -> Result<()> {
    for level in available_levels() {
        eprintln!("    LEXMAX_LEVEL={level}");
        let mut command = step::cargo(root);
        command.env("LEXMAX_LEVEL", level);
        step::run(command.args(["test", "--quiet", "--package", "lexmax-kernels", "--tests"]))?;
    }
    for threads in ["1", "3"] {
        eprintln!("    OMP_NUM_THREADS={threads}");
        let mut command = step::cargo(root);
        command.env("OMP_NUM_THREADS", threads);
        step::run(command.args([
            "test",
            "--quiet",
            "--package",
            "lexmax-full",
            "--package",
            "lexmax-output",
        ]))?;
    }
    Ok(())
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
    command.args([
        "--package",
        "lexmax-kernels",
        "--package",
        "lexmax-corpus",
        "--package",
        "lexmax-records",
    ]);
    if step::answers("aarch64-linux-gnu-gcc", &["--version"]) {
        command.args(["--package", "lexmax-report"]);
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
