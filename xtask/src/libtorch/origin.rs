//! Whose libtorch the build uses, by the variables that torch-sys reads, in its order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

/// The owner of the libtorch that the build uses.
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

/// Reads the variables through `var`. Cargo sets LIBTORCH to `default` where the shell has none, so
/// only another value is the user's own.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<Origin> {
        origin(Path::new("/project/.libtorch"), |name| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn own_folder_or_python_wins_over_the_workspace() {
        assert_eq!(with(&[]).unwrap(), Origin::Workspace);
        assert_eq!(with(&[("LIBTORCH", "/project/.libtorch/")]).unwrap(), Origin::Workspace);
        let own = |include: &str, lib: &str| Origin::User { include: include.into(), lib: lib.into() };
        assert_eq!(with(&[("LIBTORCH", "/opt/torch")]).unwrap(), own("/opt/torch", "/opt/torch"));
        let split = with(&[("LIBTORCH_INCLUDE", "/usr/a"), ("LIBTORCH_LIB", "/usr/b")]);
        assert_eq!(split.unwrap(), own("/usr/a", "/usr/b"));
        let python = with(&[("LIBTORCH", "/opt/torch"), ("LIBTORCH_USE_PYTORCH", "1")]);
        assert_eq!(python.unwrap(), Origin::Python);
    }

    #[test]
    fn relative_empty_and_mixed_values_are_refused() {
        for (name, value, part) in [
            ("LIBTORCH", "torch", "absolute"),
            ("LIBTORCH", "", "absolute"),
            ("LIBTORCH_LIB", "/opt/torch", "one libtorch"),
        ] {
            assert!(with(&[(name, value)]).unwrap_err().to_string().contains(part), "{name}={value}");
        }
    }
}
