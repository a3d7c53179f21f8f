//! Fetching the wheels by pip, with the user's own pip settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::VERSION;
use crate::step;

/// Downloads the wheels into `dest`; pip's temporary files go there too, to be on the same disk.
pub fn download(dest: &Path) -> Result<Vec<PathBuf>> {
    let python = python_with_pip(&["python3", "python"])?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--no-deps", "--dest"]).arg(dest).env("TMPDIR", dest);
    // One wheel for whichever Python runs pip: its libraries are the same for all. A platform that
    // is given by name is not widened by pip, so every glibc from 2.28 down to 2.17 is named.
    pip.args(["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]);
    pip.args((17..=28).rev().map(|minor| format!("--platform=manylinux_2_{minor}_x86_64")));
    pip.args(["--platform=manylinux2014_x86_64", &format!("torch=={VERSION}")]);
    // The wheel is built for CUDA 13: libtorch_cpu.so names libraries of these two, which must be
    // there when it is loaded, and are not used on a machine without a GPU.
    pip.args(["nvidia-cuda-runtime>=13,<14", "nvidia-cuda-cupti>=13,<14"]);
    step::run(&mut pip).with_context(|| {
        format!(
            "pip fetched no libtorch {VERSION}; its own settings apply (`{python} -m pip config list`): index, proxy, \
             certificates. Is the package index in reach?"
        )
    })?;
    let entries = fs::read_dir(dest).with_context(|| format!("cannot read `{}`", dest.display()))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "whl")).collect())
}

/// The first of `names` that starts as a Python with pip.
pub fn python_with_pip<'a>(names: &[&'a str]) -> Result<&'a str> {
    let found = names.iter().find(|name| step::answers(name, &["-m", "pip", "--version"]));
    found.copied().with_context(|| {
        format!(
            "no Python with pip (tried {}); pip fetches libtorch, so install both (on Debian and Ubuntu the package \
             python3-pip), or get libtorch by hand and point LIBTORCH to it",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn python_without_pip_is_passed_over_or_told() {
        assert_eq!(python_with_pip(&["no-python-here", "false", "true"]).unwrap(), "true");
        let error = python_with_pip(&["no-python-here", "false"]).unwrap_err().to_string();
        assert!(error.contains("tried no-python-here, false"), "{error}");
    }
}
