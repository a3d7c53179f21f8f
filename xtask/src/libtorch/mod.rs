//! libtorch for the workspace: which one is in use, whether it is whole, and its installation where it is missing.
//!
//! The CPU part of the PyTorch wheel serves, fetched by pip with the user's own settings (mirror, proxy, cache).

mod disk;
mod install;
mod link;
mod manifest;
mod origin;
pub mod python;
mod state;
mod unpack;
mod wheels;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;
use origin::Origin;
use state::State;

/// The version that tch 0.26 asks for.
pub const VERSION: &str = "2.13.0";

/// Megabytes (10^6 bytes), as pip and libraries print them.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// `cargo xtask libtorch [--verify] [--into FOLDER]`.
pub fn command(root: &Path, args: &[String]) -> Result<()> {
    let mut verify = false;
    let mut into = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--verify" => verify = true,
            "--into" => {
                let folder = args.next().context("`--into` needs a folder, as in `--into /opt/libtorch`")?;
                into = Some(std::path::absolute(folder)?);
            }
            other => {
                bail!("`cargo xtask libtorch` has no option `{other}`; expected --verify or --into FOLDER")
            }
        }
    }
    match into {
        Some(folder) => {
            ensure_in(&folder, verify)?;
            println!("For use: export LIBTORCH={}", folder.display());
            Ok(())
        }
        None => ensure_chosen(root, verify),
    }
}

/// Sees to it that the libtorch in use is there: the user's own is looked at, the workspace's is installed where
/// it is missing and repaired where it is damaged.
pub fn ensure(root: &Path) -> Result<()> {
    ensure_chosen(root, false)
}

fn ensure_chosen(root: &Path, verify: bool) -> Result<()> {
    let default = workspace::default_libtorch(root);
    match origin::origin(&default, |name| std::env::var_os(name))? {
        Origin::Python => {
            eprintln!("    LIBTORCH_USE_PYTORCH is set: the build uses the PyTorch of the Python at hand.");
            eprintln!("    It must be {VERSION}, with its torch/lib folder in LD_LIBRARY_PATH at run time.");
            Ok(())
        }
        Origin::User { include, lib } => {
            origin::require_usable(&include, &lib, |name| std::env::var_os(name))?;
            eprintln!("    your own libtorch is used: {}", lib.display());
            Ok(())
        }
        Origin::Workspace => ensure_in(&default, verify),
    }
}

fn ensure_in(folder: &Path, verify: bool) -> Result<()> {
    match state::state(folder, verify) {
        State::Whole { files, bytes } => {
            let how = if verify { "every checksum is right" } else { "every size is right" };
            eprintln!(
                "    libtorch {VERSION} is in {} ({files} files, {:.0} MB; {how})",
                folder.display(),
                megabytes(bytes)
            );
            Ok(())
        }
        State::Foreign if verify => bail!(
            "`{}` holds a libtorch {VERSION} that `cargo xtask libtorch` did not install, so there are no checksums \
             to compare with; to have it installed anew, remove that folder and run `cargo xtask libtorch`",
            folder.display()
        ),
        State::Foreign => {
            eprintln!(
                "    libtorch {VERSION} is in {} (not installed by this command; left as it is)",
                folder.display()
            );
            Ok(())
        }
        State::Missing => install::install(folder),
        // A folder of somebody else's is not ours to remove.
        State::Damaged(what) if !folder.join(manifest::NAME).exists() => bail!(
            "`{}` is there and no libtorch {VERSION} that `cargo xtask libtorch` installed: {what}; expected a folder that \
             is missing or empty, so move it away or name another",
            folder.display()
        ),
        State::Damaged(what) => {
            eprintln!("    the libtorch in {} is damaged: {what}", folder.display());
            eprintln!("    it is installed anew");
            install::install(folder)
        }
    }
}

/// `name` with `suffix` added, in the same folder: `.libtorch` and `.new` give `.libtorch.new`.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("libs");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("precious"), "").unwrap();
        for version in [None, Some("2.11.0")] {
            if let Some(version) = version {
                fs::write(folder.join("build-version"), version).unwrap();
            }
            let error = ensure_in(&folder, false).unwrap_err().to_string();
            assert!(error.contains("libs") && error.contains("missing or empty"), "{error}");
            assert!(folder.join("precious").is_file());
        }
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(ensure_in(&file, false).is_err() && file.is_file());
    }
}
