//! The Python that runs the scripts of the other packages: the user's, or a virtual environment in
//! the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::child::{run, runs};

/// Folder of the virtual environment; git ignores it.
const FOLDER: &str = ".peers-venv";
const REQUIREMENTS: &str = "benches/peers/requirements.txt";

/// An interpreter of the user, looked at: it must start and have PyTorch. A path with folders in it
/// is relative to the folder that the user is in.
pub fn given(root: &Path, python: &Path) -> Result<PathBuf> {
    let shown = python.display();
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let python = if python.components().count() > 1 { here.join(python) } else { python.to_owned() };
    let program = python.to_string_lossy();
    ensure!(runs(&program, &["-c", ""]), "`--python {shown}` does not start; expected a Python interpreter");
    ensure!(
        runs(&program, &["-c", "import torch, numpy"]),
        "`--python {shown}` has no PyTorch or no numpy; expected the packages of {REQUIREMENTS} (without --python they \
         are installed into {})",
        root.join(FOLDER).display()
    );
    Ok(python)
}

/// The interpreter of the virtual environment, which is made or brought up to date where it must
/// be.
pub fn ensure(root: &Path) -> Result<PathBuf> {
    let folder = root.join(FOLDER);
    let python = folder.join("bin").join("python");
    let wanted = fs::read_to_string(root.join(REQUIREMENTS))
        .with_context(|| format!("cannot read `{REQUIREMENTS}`"))?;
    let stamp = folder.join("installed.txt");
    if python.exists() && is_current(&stamp, &wanted) {
        return Ok(python);
    }
    if !python.exists() {
        let names = ["python3", "python"];
        let with_venv = |name: &&str| runs(name, &["-c", "import venv, ensurepip"]);
        let system = names.into_iter().find(with_venv).with_context(|| {
            format!(
                "no Python that can make a virtual environment (tried {}); expected one with venv and pip, or one that \
                 has the packages, by --python",
                names.join(", ")
            )
        })?;
        run(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    }
    if !python.exists() {
        bail!("`python -m venv {FOLDER}` made no `{}`; expected one there", python.display());
    }
    // Packages come by pip's own configuration, so mirrors work.
    let mut pip = Command::new(&python);
    run(pip.current_dir(root).args(["-m", "pip", "install", "--requirement", REQUIREMENTS]))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write `{}`", stamp.display()))?;
    Ok(python)
}

/// Whether what is installed is what is wanted.
fn is_current(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_interpreter_that_is_none_is_refused_by_name() {
        let root = Path::new(".");
        let error = given(root, Path::new("no-such-python")).unwrap_err().to_string();
        assert!(error.contains("no-such-python") && error.contains("expected a Python"), "{error}");
        // A program that starts but imports nothing.
        let error = given(root, Path::new("false")).unwrap_err().to_string();
        assert!(error.contains("`--python false` does not start"), "{error}");
    }

    #[test]
    fn an_environment_is_reused_while_the_requirements_stay() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join(FOLDER).join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(root.path().join("benches/peers")).unwrap();
        fs::write(root.path().join(REQUIREMENTS), "torch==1\n").unwrap();
        fs::write(bin.join("python"), "").unwrap();
        fs::write(root.path().join(FOLDER).join("installed.txt"), "torch==1\n").unwrap();
        assert_eq!(ensure(root.path()).unwrap(), bin.join("python"));
        assert!(!is_current(&root.path().join(FOLDER).join("installed.txt"), "torch==2\n"));
    }
}
