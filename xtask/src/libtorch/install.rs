//! The installation: everything is made in a folder beside the final one, which gets its name at the very end.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::manifest::Manifest;
use super::state::{State, state};
use super::{VERSION, beside, disk, link, megabytes, python, unpack, wheels};
use crate::step;

/// Ends of names beside the folder that nobody else gives: what has them is removed without asking.
const PARTIAL: &str = ".lexmax-partial";
const OLD: &str = ".lexmax-old";

/// Installs libtorch into `folder`; what is there now is replaced when the new one is whole.
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
    if let State::Whole { .. } = state(folder, true) {
        eprintln!("    another process installed it meanwhile");
        return Ok(());
    }
    fetch_and_place(folder, parent).map_err(|error| disk::explain(error, parent))
}

fn fetch_and_place(folder: &Path, parent: &Path) -> Result<()> {
    let staging = beside(folder, PARTIAL);
    remove(&staging)?;
    disk::require(parent, disk::NEEDED)?;
    let python = python::with_pip(&python::NAMES, python::runs)?;
    let (downloads, tmp) = (staging.join("wheels"), staging.join("tmp"));
    for folder in [&downloads, &tmp] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    let wheels = step::step("download of libtorch (about 542 MB)", || {
        wheels::download(python, &wheels::packages(), &downloads, &tmp)
    })?;
    let manifest = step::step("unpacking", || assemble(&wheels, &staging))?;
    step::step("moving into place", || {
        remove(&downloads)?;
        remove(&tmp)?;
        // Only a folder that is whole gets the manifest, and then its name.
        manifest.write(&staging)?;
        swap(&staging, folder)
    })?;
    eprintln!(
        "    libtorch {VERSION} is in {} ({} files, {:.0} MB)",
        folder.display(),
        manifest.files.len(),
        megabytes(manifest.bytes())
    );
    Ok(())
}

/// Makes a libtorch folder of the wheels: files, libtorch.so, version, and the list of them all.
fn assemble(wheels: &[PathBuf], staging: &Path) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    unpack::unpack(wheels, staging, &mut manifest)?;
    let lib = staging.join("lib");
    link::make_libtorch(&lib)?;
    let tmp = staging.join("tmp");
    fs::create_dir_all(&tmp).with_context(|| format!("cannot create `{}`", tmp.display()))?;
    link::prove_it_loads(&lib, &tmp)?;
    let version = staging.join("build-version");
    fs::write(&version, VERSION).with_context(|| format!("cannot write `{}`", version.display()))?;
    manifest.add(staging, "lib/libtorch.so")?;
    manifest.add(staging, "build-version")?;
    Ok(manifest)
}

/// Gives `staging` the name `folder`; an older folder of that name goes only after that.
fn swap(staging: &Path, folder: &Path) -> Result<()> {
    let old = beside(folder, OLD);
    remove(&old)?;
    let replaces = folder.symlink_metadata().is_ok();
    if replaces {
        fs::rename(folder, &old).with_context(|| format!("cannot rename `{}`", folder.display()))?;
    }
    if let Err(error) = fs::rename(staging, folder) {
        if replaces {
            // The error told is the first one; this only puts back what was there.
            let _ = fs::rename(&old, folder);
        }
        return Err(error).with_context(|| format!("cannot rename `{}`", staging.display()));
    }
    remove(&old)
}

/// Removes a folder, a file or a link, or nothing where there is nothing.
fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove `{}`", path.display()))
}

/// Keeps a second installation beside this one waiting. The lock lies on the parent folder itself: no file is left
/// behind, and the system frees it when the process ends, however it ends.
fn lock(parent: &Path) -> Result<File> {
    let handle = File::open(parent).with_context(|| format!("cannot open `{}`", parent.display()))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => {
            eprintln!("    another installation is running in {}; waiting for it", parent.display());
            handle.lock().with_context(|| format!("cannot lock `{}`", parent.display()))?;
        }
        // A file system without locks (some network ones) is no reason not to install.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(handle)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::libtorch::link::tests::library;
    use crate::libtorch::manifest;
    use crate::libtorch::unpack::tests::wheel;

    /// Wheels with shared objects that load.
    fn wheels(folder: &Path) -> Vec<PathBuf> {
        let read = |name: &str, needs: &[&str]| fs::read(library(folder, name, needs)).unwrap();
        let (c10, cpu) = (read("libc10.so", &[]), read("libtorch_cpu.so", &["c10"]));
        let torch = [
            ("torch/include/torch/csrc/api/include/torch/torch.h", b"#pragma once".as_slice()),
            ("torch/lib/libtorch_cpu.so", &cpu),
            ("torch/lib/libc10.so", &c10),
            ("torch/lib/libgomp.so.1", b"gomp"),
        ];
        let cuda = [("n/lib/libcudart.so.13", b"a".as_slice()), ("n/lib/libcupti.so.13", b"b")];
        vec![wheel(folder.join("torch-.whl"), &torch), wheel(folder.join("cuda-.whl"), &cuda)]
    }

    fn installed(root: &Path) -> PathBuf {
        let staging = root.join(format!("libtorch{PARTIAL}"));
        let folder = root.join("libtorch");
        assemble(&wheels(root), &staging).unwrap().write(&staging).unwrap();
        swap(&staging, &folder).unwrap();
        folder
    }

    #[test]
    fn an_installation_is_whole_and_damage_to_it_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let folder = installed(root.path());
        assert!(matches!(state(&folder, true), State::Whole { files: 8, .. }));
        assert!(!root.path().join(format!("libtorch{PARTIAL}")).exists());

        let header = folder.join("include/torch/csrc/api/include/torch/torch.h");
        fs::write(&header, "#pragma 0nce").unwrap();
        assert!(matches!(state(&folder, false), State::Whole { .. }));
        assert!(matches!(state(&folder, true), State::Damaged(what) if what.contains("torch.h: CRC-32")));
        let library = File::options().write(true).open(folder.join("lib/libtorch_cpu.so")).unwrap();
        library.set_len(100).unwrap();
        assert!(
            matches!(state(&folder, false), State::Damaged(what) if what.contains("libtorch_cpu.so: 100 bytes"))
        );
    }

    #[test]
    fn a_new_installation_replaces_a_damaged_one_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("libtorch");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(manifest::NAME), "cut off").unwrap();
        fs::write(folder.join("old"), "").unwrap();
        assert!(matches!(state(&folder, false), State::Damaged(_)));
        installed(root.path());
        assert!(matches!(state(&folder, false), State::Whole { .. }));
        assert!(!folder.join("old").exists());
        assert!(!root.path().join(format!("libtorch{OLD}")).exists());
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_replaced_and_what_it_shows_stays() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.path().join("libtorch")).unwrap();
        installed(root.path());
        assert!(elsewhere.join("precious").is_file());
    }

    #[test]
    fn a_second_installation_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let first = lock(root.path()).unwrap();
        let again = File::open(root.path()).unwrap();
        assert!(matches!(again.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        assert!(again.try_lock().is_ok());
    }
}
