//! Whose libtorch the build uses, by the variables that torch-sys reads, in its order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::VERSION;
use super::state::version_of;

/// Whose libtorch the build uses.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// The folder `.libtorch` of the workspace, which this task installs.
    Workspace,
    /// Folders of the user's; torch-sys looks into `include/` of the one and `lib/` of the other.
    User {
        /// The folder that has `include/`.
        include: PathBuf,
        /// The folder that has `lib/`.
        lib: PathBuf,
    },
    /// PyTorch as installed in the Python at hand.
    Python,
}

/// Reads the variables through `var`. Cargo sets LIBTORCH to `default` where the shell has none, so only another
/// value is the user's own.
pub fn origin(default: &Path, var: impl Fn(&str) -> Option<OsString>) -> Result<Origin> {
    if var("LIBTORCH_USE_PYTORCH").is_some() {
        return Ok(Origin::Python);
    }
    let libtorch = var("LIBTORCH").map_or_else(|| default.to_path_buf(), PathBuf::from);
    let include = var("LIBTORCH_INCLUDE").map_or_else(|| libtorch.clone(), PathBuf::from);
    let lib = var("LIBTORCH_LIB").map_or_else(|| libtorch.clone(), PathBuf::from);
    for folder in [&libtorch, &include, &lib] {
        ensure!(
            folder.is_absolute(),
            "LIBTORCH, LIBTORCH_INCLUDE and LIBTORCH_LIB must be absolute paths (build scripts run in other folders), \
             got `{}`; unset the variable to use the libtorch that `cargo xtask libtorch` installs",
            folder.display()
        );
    }
    let ours = |folder: &Path| folder == default || (folder.exists() && same_folder(folder, default));
    match (ours(&include), ours(&lib)) {
        (true, true) => Ok(Origin::Workspace),
        (false, false) => Ok(Origin::User { include, lib }),
        _ => bail!(
            "headers and libraries must come from one libtorch, got headers in `{}` and libraries in `{}`; \
             set LIBTORCH_INCLUDE and LIBTORCH_LIB both, or neither",
            include.display(),
            lib.display()
        ),
    }
}

fn same_folder(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Looks at the user's own libtorch, so that a wrong folder is told here and not by a linker minutes later.
pub fn require_usable(include: &Path, lib: &Path, var: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    let ways = format!(
        "point LIBTORCH to an unpacked libtorch {VERSION}, or unset it and run `cargo xtask libtorch`"
    );
    let header = include.join("include/torch/csrc/api/include/torch/torch.h");
    ensure!(header.is_file(), "your own libtorch has no `{}`; {ways}", header.display());
    let names = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.lib", "libtorch_cpu.a"];
    ensure!(
        names.iter().any(|name| lib.join("lib").join(name).is_file()),
        "your own libtorch has no library libtorch_cpu in `{}`; {ways}",
        lib.join("lib").display()
    );
    if var("LIBTORCH_BYPASS_VERSION_CHECK").is_none()
        && let Some(version) = version_of(lib)
    {
        ensure!(
            version == VERSION,
            "your own libtorch in `{}` is version {version}, expected {VERSION}; {ways}",
            lib.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    fn with(vars: &[(&str, &str)]) -> Result<Origin> {
        origin(Path::new("/project/.libtorch"), |name| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_value_that_cargo_sets_is_not_the_users_own() {
        assert_eq!(with(&[]).unwrap(), Origin::Workspace);
        assert_eq!(with(&[("LIBTORCH", "/project/.libtorch")]).unwrap(), Origin::Workspace);
        assert_eq!(with(&[("LIBTORCH", "/project/.libtorch/")]).unwrap(), Origin::Workspace);
    }

    #[test]
    fn the_users_own_wins() {
        let own = Origin::User { include: "/opt/torch".into(), lib: "/opt/torch".into() };
        assert_eq!(with(&[("LIBTORCH", "/opt/torch")]).unwrap(), own);
        let split = Origin::User { include: "/usr/a".into(), lib: "/usr/b".into() };
        assert_eq!(with(&[("LIBTORCH_INCLUDE", "/usr/a"), ("LIBTORCH_LIB", "/usr/b")]).unwrap(), split);
        let python = with(&[("LIBTORCH", "/opt/torch"), ("LIBTORCH_USE_PYTORCH", "1")]).unwrap();
        assert_eq!(python, Origin::Python);
    }

    #[test]
    fn relative_empty_and_mixed_values_are_refused() {
        assert!(with(&[("LIBTORCH", "torch")]).unwrap_err().to_string().contains("absolute"));
        assert!(with(&[("LIBTORCH", "")]).unwrap_err().to_string().contains("absolute"));
        assert!(with(&[("LIBTORCH_LIB", "/opt/torch")]).unwrap_err().to_string().contains("one libtorch"));
    }

    #[test]
    fn a_users_folder_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path();
        let check = || require_usable(own, own, |_| None).map_err(|error| error.to_string());
        assert!(check().unwrap_err().contains("torch.h"));
        let header = own.join("include/torch/csrc/api/include/torch");
        fs::create_dir_all(&header).unwrap();
        fs::write(header.join("torch.h"), "").unwrap();
        assert!(check().unwrap_err().contains("libtorch_cpu"));
        fs::create_dir_all(own.join("lib")).unwrap();
        fs::write(own.join("lib/libtorch_cpu.so"), "").unwrap();
        assert_eq!(check(), Ok(()));
        fs::write(own.join("build-version"), "2.11.0+cpu\n").unwrap();
        assert!(check().unwrap_err().contains("version 2.11.0, expected 2.13.0"));
        assert!(require_usable(own, own, |_| Some("1".into())).is_ok());
    }
}
