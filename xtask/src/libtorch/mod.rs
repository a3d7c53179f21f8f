//! libtorch for the workspace: which one is in use, whether it is whole, and its installation where
//! it is missing.
//!
//! The CPU part of the PyTorch wheel serves, fetched by pip with the user's own settings (mirror,
//! proxy, cache).

mod install;
mod link;
mod state;
mod unpack;
pub mod wheels;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lexmax_build::Libtorch;

use crate::workspace;
use state::State;

/// The version that tch 0.26 asks for.
pub const VERSION: &str = "2.13.0";

/// Megabytes (10^6 bytes), as pip and libraries print them.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Installs libtorch into a folder of the user's choice.
pub fn install_into(folder: &Path) -> Result<()> {
    let folder = std::path::absolute(folder)?;
    ensure_in(&folder)?;
    println!("For use: export LIBTORCH={}", folder.display());
    Ok(())
}

/// Sees to it that the libtorch in use is there: the user's own is looked at, the workspace's is
/// installed where it is missing and repaired where it is damaged.
pub fn ensure(root: &Path) -> Result<()> {
    let default = workspace::default_libtorch(root);
    let Some(Libtorch { include, lib }) = own(&default, |name| std::env::var_os(name))? else {
        return ensure_in(&default);
    };
    let any_version = std::env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some();
    state::require_usable(&include, &lib, any_version).with_context(|| {
        format!(
            "your own libtorch cannot serve (point LIBTORCH to an unpacked libtorch {VERSION}, or unset it and run \
             `cargo xtask libtorch`)"
        )
    })?;
    eprintln!("    your own libtorch is used: {}", lib.display());
    Ok(())
}

/// The user's own libtorch, by the variables that torch-sys reads; `None` for the workspace's,
/// which cargo puts into LIBTORCH where the shell has none.
fn own(default: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Libtorch>> {
    for name in ["LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_LIB"] {
        let folder = variable(name).map_or_else(|| default.to_owned(), PathBuf::from);
        ensure!(
            folder.is_absolute(),
            "{name} must be an absolute path (build scripts run in other folders), got `{}`; unset it to use the \
             libtorch that `cargo xtask libtorch` installs",
            folder.display()
        );
    }
    let ours = Libtorch::named_by(|name| (name == "LIBTORCH").then(|| default.into()))?;
    let named =
        Libtorch::named_by(|name| variable(name).or_else(|| (name == "LIBTORCH").then(|| default.into())))?;
    let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Ok((real(&named.lib) != real(&ours.lib)).then_some(named))
}

fn ensure_in(folder: &Path) -> Result<()> {
    let shown = folder.display();
    match state::state(folder)? {
        State::Whole(how) => eprintln!("    libtorch {VERSION} is in {shown} ({how})"),
        State::Missing => install::install(folder)?,
        State::Damaged(what) => {
            eprintln!("    the libtorch in {shown} is damaged: {what}");
            eprintln!("    it is installed anew");
            install::install(folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<Option<Libtorch>> {
        let value = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        own(Path::new("/project/.libtorch"), value)
    }

    #[test]
    fn libtorch_of_the_user_wins_over_the_workspace() {
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&[("LIBTORCH", "/project/.libtorch/")]).unwrap(), None);
        let own = with(&[("LIBTORCH", "/opt/torch"), ("LIBTORCH_INCLUDE", "/opt/h")]).unwrap().unwrap();
        assert_eq!((own.lib, own.include), ("/opt/torch/lib".into(), "/opt/h/include".into()));
        let error = with(&[("LIBTORCH_LIB", "torch")]).unwrap_err().to_string();
        assert!(error.contains("LIBTORCH_LIB must be an absolute path"), "{error}");
    }
}
