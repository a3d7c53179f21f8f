//! The state of a libtorch folder, by the list of files and sizes that an installation leaves in
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{VERSION, megabytes};

/// Name of the list within the folder. Only folders with it are ever replaced.
const LIST: &str = "lexmax-files.json";

/// Bytes by path, with `/` between names.
pub type Sizes = BTreeMap<String, u64>;

/// The state of a libtorch folder.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// No folder or an empty one.
    Missing,
    /// A libtorch of the right version; the text says how that was seen.
    Whole(String),
    /// An installation of ours with something wrong, as the text says.
    Damaged(String),
}

/// Looks at the folder: names and sizes only, in milliseconds. A folder of somebody else's without
/// a usable libtorch is an error, since it is not ours to replace.
pub fn state(folder: &Path) -> Result<State> {
    if let Ok(list) = fs::read_to_string(folder.join(LIST)) {
        return Ok(compare(folder, &list).unwrap_or_else(|error| State::Damaged(format!("{error:#}"))));
    }
    let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if empty || folder.symlink_metadata().is_err() {
        return Ok(State::Missing);
    }
    require_usable(&folder.join("include"), &folder.join("lib"), false).with_context(|| {
        let shown = folder.display();
        format!(
            "`{shown}` was not made by `cargo xtask libtorch`; expected a folder that is missing or empty"
        )
    })?;
    Ok(State::Whole("not installed by this command; left as it is".to_owned()))
}

/// Leaves the list in an installation that is whole.
pub fn record(folder: &Path, sizes: &Sizes) -> Result<()> {
    let path = folder.join(LIST);
    let list = serde_json::to_string_pretty(sizes)?;
    fs::write(&path, list).with_context(|| format!("cannot write `{}`", path.display()))
}

fn compare(folder: &Path, list: &str) -> Result<State> {
    let sizes: Sizes = serde_json::from_str(list).with_context(|| format!("{LIST} is no list of sizes"))?;
    for (path, expected) in &sizes {
        let found = fs::metadata(folder.join(path)).with_context(|| path.clone())?.len();
        ensure!(found == *expected, "{path} has {found} bytes, expected {expected}");
    }
    require_usable(&folder.join("include"), &folder.join("lib"), false)?;
    let size = megabytes(sizes.values().sum());
    Ok(State::Whole(format!("{} files, {size:.0} MB; every size is right", sizes.len())))
}

/// Looks at a libtorch, so that a wrong folder is told here and not by a linker minutes later.
/// `include` and `lib` are the folders of the headers and of the libraries.
pub fn require_usable(include: &Path, lib: &Path, any_version: bool) -> Result<()> {
    let header = include.join("torch/csrc/api/include/torch/torch.h");
    ensure!(header.is_file(), "no libtorch {VERSION}: there is no `{}`", header.display());
    let names = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.lib", "libtorch_cpu.a"];
    if !names.iter().any(|name| lib.join(name).is_file()) {
        bail!("no libtorch {VERSION}: there is no libtorch_cpu in `{}`", lib.display());
    }
    // Without the local part: `2.13.0+cpu` is 2.13.0. A PyTorch of Python has no such file.
    let text = fs::read_to_string(lib.join("../build-version")).unwrap_or_else(|_| VERSION.to_owned());
    let version = text.trim().split('+').next().unwrap_or_default();
    ensure!(
        any_version || version == VERSION,
        "the libtorch in `{}` is version {version}, expected {VERSION}",
        lib.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(folder: &Path, path: &str, text: &str) {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), text).unwrap();
    }

    /// A folder with the least that a libtorch has.
    fn usable(folder: &Path) {
        write(folder, "include/torch/csrc/api/include/torch/torch.h", "");
        write(folder, "lib/libtorch_cpu.so", "123");
        write(folder, "build-version", "2.13.0+cpu\n");
    }

    #[test]
    fn installed_folder_is_whole_until_a_size_changes() {
        let folder = tempfile::tempdir().unwrap();
        let damage = |part: &str| match state(folder.path()).unwrap() {
            State::Damaged(what) => assert!(what.contains(part), "{what}"),
            other => panic!("expected `{part}`, got {other:?}"),
        };
        usable(folder.path());
        let library = "lib/libtorch_cpu.so";
        record(folder.path(), &Sizes::from([(library.to_owned(), 3)])).unwrap();
        assert!(matches!(state(folder.path()), Ok(State::Whole(how)) if how.starts_with("1 files, 0 MB")));
        write(folder.path(), library, "1234");
        damage("libtorch_cpu.so has 4 bytes, expected 3");
        fs::remove_file(folder.path().join(library)).unwrap();
        damage("libtorch_cpu.so: No such file");
        usable(folder.path());
        write(folder.path(), "build-version", "2.11.0");
        damage("is version 2.11.0, expected 2.13.0");
        write(folder.path(), LIST, "{\"a b.so\": 3,");
        damage("no list of sizes");
    }

    #[test]
    fn foreign_folder_is_left_where_usable_and_refused_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(state(&dir.join("nothing")).unwrap(), State::Missing);
        assert_eq!(state(dir).unwrap(), State::Missing);
        write(dir, "precious", "");
        for place in [dir, &dir.join("precious")] {
            let error = format!("{:#}", state(place).unwrap_err());
            assert!(error.contains("missing or empty") && error.contains("torch.h"), "{error}");
        }
        usable(dir);
        assert!(matches!(state(dir), Ok(State::Whole(how)) if how.contains("left as it is")));
        fs::remove_file(dir.join("lib/libtorch_cpu.so")).unwrap();
        assert!(format!("{:#}", state(dir).unwrap_err()).contains("no libtorch_cpu"));
        usable(dir);
        write(dir, "build-version", "2.11.0");
        assert!(format!("{:#}", state(dir).unwrap_err()).contains("2.11.0, expected 2.13.0"));
        assert!(require_usable(&dir.join("include"), &dir.join("lib"), true).is_ok());
    }
}
