//! Fetching the wheels by pip, with the user's own pip settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{VERSION, megabytes};
use crate::step;

/// One package: its requirement as pip reads it, and how its wheel's name begins.
pub struct Package {
    /// For example `torch==2.13.0`.
    pub requirement: String,
    /// For example `torch-`.
    pub file_prefix: &'static str,
}

/// The packages that hold the CPU part. The wheel of torch is built for CUDA 13: libtorch_cpu.so names the libraries
/// of two small packages, which must be there when it is loaded, and are not used on a machine without a GPU.
pub fn packages() -> [Package; 3] {
    [
        Package { requirement: format!("torch=={VERSION}"), file_prefix: "torch-" },
        Package {
            requirement: "nvidia-cuda-runtime>=13,<14".to_owned(),
            file_prefix: "nvidia_cuda_runtime-",
        },
        Package { requirement: "nvidia-cuda-cupti>=13,<14".to_owned(), file_prefix: "nvidia_cuda_cupti-" },
    ]
}

/// Downloads the wheels of `packages` into `dest`; pip's temporary files go to `tmp`, on the same disk.
pub fn download(python: &str, packages: &[Package], dest: &Path, tmp: &Path) -> Result<Vec<PathBuf>> {
    let start = Instant::now();
    match pip(python, packages, &[], dest, tmp)? {
        Fetched::All => {}
        Fetched::NoMatch => {
            eprintln!(
                "    no wheel for this Python; trying the one for CPython 3.12, whose libraries are the same"
            );
            let platforms = foreign_platforms();
            let args: Vec<&str> = platforms.iter().map(String::as_str).collect();
            if let Fetched::NoMatch = pip(python, packages, &args, dest, tmp)? {
                bail!(
                    "pip finds no wheel of torch {VERSION}; its output above says where it looked. Its own settings \
                     apply (`{python} -m pip config list`): index, proxy, certificates. Is the package index in reach?"
                );
            }
        }
    }
    let wheels = collect(packages, dest)?;
    let mut bytes = 0;
    for wheel in &wheels {
        bytes += fs::metadata(wheel)?.len();
    }
    let seconds = start.elapsed();
    eprintln!(
        "    {} wheels, {:.1} MB in {} ({:.1} MB/s)",
        wheels.len(),
        megabytes(bytes),
        step::duration(seconds),
        megabytes(bytes) / seconds.as_secs_f64().max(1e-3)
    );
    Ok(wheels)
}

/// Arguments that make pip take a wheel for CPython 3.12 on Linux, whatever Python runs it. pip does not widen a
/// platform that is given by name, so every glibc from 2.28 down to 2.17 is named.
fn foreign_platforms() -> Vec<String> {
    let mut args: Vec<String> =
        ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"].map(str::to_owned).to_vec();
    args.extend((17..=28).rev().map(|minor| format!("--platform=manylinux_2_{minor}_x86_64")));
    args.push("--platform=manylinux2014_x86_64".to_owned());
    args
}

/// How pip ended, where it did not fail for good.
#[derive(Debug, PartialEq, Eq)]
enum Fetched {
    All,
    NoMatch,
}

fn pip(python: &str, packages: &[Package], extra: &[&str], dest: &Path, tmp: &Path) -> Result<Fetched> {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "download", "--no-deps", "--dest"]).arg(dest).args(extra);
    command.args(packages.iter().map(|package| &package.requirement));
    command.env("TMPDIR", tmp).stderr(Stdio::piped());
    let line = step::command_line(&command);
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let mut complaints = String::new();
    if let Some(stderr) = child.stderr.take() {
        // Passed on line by line as it comes, and kept, because only the text tells the reasons apart.
        let mut reader = BufReader::new(stderr);
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw)? > 0 {
            let text = String::from_utf8_lossy(&raw);
            eprint!("{text}");
            complaints.push_str(&text);
            raw.clear();
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(Fetched::All) } else { failure(&complaints, &line) }
}

fn failure(complaints: &str, line: &str) -> Result<Fetched> {
    if complaints.contains("No space left on device") {
        bail!("`{line}` failed: No space left on device");
    }
    if complaints.contains("No matching distribution found") {
        return Ok(Fetched::NoMatch);
    }
    bail!("`{line}` failed; its own output above says why")
}

fn collect(packages: &[Package], dest: &Path) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dest).with_context(|| format!("cannot read `{}`", dest.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let mut wheels = Vec::new();
    for package in packages {
        let found = names.iter().find(|name| name.starts_with(package.file_prefix) && name.ends_with(".whl"));
        match found {
            Some(name) => wheels.push(dest.join(name)),
            None => bail!(
                "pip ended well, but there is no wheel `{}*.whl` for {} in `{}` (it holds {names:?})",
                package.file_prefix,
                package.requirement,
                dest.display()
            ),
        }
    }
    Ok(wheels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_reasons_of_pip_are_told_apart() {
        let none = "ERROR: No matching distribution found for torch==2.13.0\n";
        assert_eq!(failure(none, "pip").unwrap(), Fetched::NoMatch);
        let full = "ERROR: Could not install: [Errno 28] No space left on device\n";
        assert!(failure(full, "pip").unwrap_err().to_string().contains("No space left"));
        let other = failure("ERROR: hash mismatch\n", "python3 -m pip").unwrap_err().to_string();
        assert!(other.contains("`python3 -m pip` failed"), "{other}");
    }

    #[test]
    fn a_missing_wheel_is_named() {
        let dest = tempfile::tempdir().unwrap();
        let packages = packages();
        for name in
            ["torch-2.13.0-cp312.whl", "nvidia_cuda_runtime-13.5.whl", "nvidia_cuda_cupti-13.5.tar.gz"]
        {
            fs::write(dest.path().join(name), "").unwrap();
        }
        let error = collect(&packages, dest.path()).unwrap_err().to_string();
        assert!(error.contains("nvidia_cuda_cupti-*.whl"), "{error}");
        fs::write(dest.path().join("nvidia_cuda_cupti-13.5.whl"), "").unwrap();
        let wheels = collect(&packages, dest.path()).unwrap();
        assert_eq!(wheels[0].file_name().unwrap(), "torch-2.13.0-cp312.whl");
        assert_eq!(wheels.len(), 3);
    }
}
