//! The installation: everything is made in a folder beside the final one, which gets its name at
//! the very end.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::state::{self, Sizes, State};
use super::{VERSION, link, megabytes, unpack, wheels};
use crate::step;

/// Installs libtorch into `folder`; an older installation there is replaced by the new one when
/// that is whole.
pub fn install(folder: &Path) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
        "libtorch {VERSION} is installed by this command on Linux x86_64 with glibc only. Here, either unpack the \
         libtorch {VERSION} of the PyTorch site and set LIBTORCH to its folder, or install PyTorch {VERSION} and set \
         LIBTORCH_USE_PYTORCH=1, or take the [env] table out of .cargo/config.toml and build with \
         `--features tch/download-libtorch`"
    );
    let parent = folder.parent().context("the folder of libtorch cannot be the root of the file system")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
    let _guard = lock(parent)?;
    if let State::Whole(how) = state::state(folder)? {
        eprintln!("    another process installed it meanwhile ({how})");
        return Ok(());
    }
    let staging = beside(folder);
    remove(&staging)?;
    let downloads = staging.join("wheels");
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create `{}`", downloads.display()))?;
    let wheels =
        step::step("download of libtorch (542 MB, and 490 MB unpacked)", || wheels::download(&downloads))?;
    let sizes = step::step("unpacking", || assemble(&wheels, &staging))?;
    remove(&downloads)?;
    place(&staging, &sizes, folder)?;
    let (files, size) = (sizes.len(), megabytes(sizes.values().sum()));
    eprintln!("    libtorch {VERSION} is in {} ({files} files, {size:.0} MB)", folder.display());
    Ok(())
}

/// Makes a libtorch folder of the wheels: files, libtorch.so and version.
fn assemble(wheels: &[PathBuf], staging: &Path) -> Result<Sizes> {
    let mut sizes = unpack::unpack(wheels, staging)?;
    link::make_libtorch(&staging.join("lib"))?;
    let version = staging.join("build-version");
    fs::write(&version, VERSION).with_context(|| format!("cannot write `{}`", version.display()))?;
    for made in ["lib/libtorch.so", "build-version"] {
        sizes.insert(made.to_owned(), fs::metadata(staging.join(made))?.len());
    }
    Ok(sizes)
}

/// Gives a folder that is whole the list of its files, and then its name.
fn place(staging: &Path, sizes: &Sizes, folder: &Path) -> Result<()> {
    state::record(staging, sizes)?;
    remove(folder)?;
    fs::rename(staging, folder).with_context(|| format!("cannot rename `{}`", staging.display()))
}

/// A name beside the folder that nobody else gives, so that its owner is removed without asking.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(".lexmax-partial");
    folder.with_file_name(name)
}

/// Removes a folder, or nothing where there is nothing; of a link, the link alone.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Keeps a second installation beside this one waiting. The lock lies on the parent folder itself:
/// no file is left behind, and the system frees it when the process ends, however it ends.
fn lock(parent: &Path) -> Result<File> {
    let handle = File::open(parent).with_context(|| format!("cannot open `{}`", parent.display()))?;
    if let Err(TryLockError::WouldBlock) = handle.try_lock() {
        eprintln!("    another installation is running in {}; waiting for it", parent.display());
        handle.lock().with_context(|| format!("cannot lock `{}`", parent.display()))?;
    }
    // Another error is a file system without locks, which is no reason not to install.
    Ok(handle)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::libtorch::link::tests::library;
    use crate::libtorch::unpack::tests::wheel;

    /// An installation from wheels with shared objects that load.
    fn installed(root: &Path) -> PathBuf {
        let read = |name: &str, needs: &[&str]| fs::read(library(root, name, needs)).unwrap();
        let (c10, cpu) = (read("libc10.so", &[]), read("libtorch_cpu.so", &["c10"]));
        let files = [
            ("torch/include/torch/csrc/api/include/torch/torch.h", b"#pragma once".as_slice()),
            ("torch/lib/libtorch_cpu.so", &cpu),
            ("torch/lib/libc10.so", &c10),
            ("torch/lib/libgomp.so.1", b"gomp"),
            ("n/lib/libcudart.so.13", b"a"),
            ("n/lib/libcupti.so.13", b"b"),
        ];
        let folder = root.join("libtorch");
        let staging = beside(&folder);
        let sizes = assemble(&[wheel(root.join("all.whl"), &files)], &staging).unwrap();
        place(&staging, &sizes, &folder).unwrap();
        assert!(!staging.exists());
        folder
    }

    #[test]
    fn installation_is_whole_and_replaces_a_damaged_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = installed(root.path());
        assert!(matches!(state::state(&folder), Ok(State::Whole(how)) if how.starts_with("8 files")));
        fs::write(folder.join("lib/libtorch_cpu.so"), "cut").unwrap();
        fs::write(folder.join("old"), "").unwrap();
        assert!(
            matches!(state::state(&folder), Ok(State::Damaged(what)) if what.contains("cpu.so has 3 bytes"))
        );
        installed(root.path());
        assert!(matches!(state::state(&folder), Ok(State::Whole(_))) && !folder.join("old").exists());
    }
}
