//! libtorch for the workspace: which one is in use, whether it is whole, and its installation where
//! it is missing.
//!
//! The CPU part of the PyTorch wheel serves, fetched by pip with the user's own settings (mirror,
//! proxy, cache).

mod install;
mod link;
mod origin;
mod state;
mod unpack;
pub mod wheels;

use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;
use origin::Origin;
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
    match origin::origin(&default, |name| std::env::var_os(name))? {
        Origin::Python => {
            eprintln!("    LIBTORCH_USE_PYTORCH is set: the build uses the PyTorch of the Python at hand.");
            eprintln!("    It must be {VERSION}, with its torch/lib folder in LD_LIBRARY_PATH at run time.");
            Ok(())
        }
        Origin::User { include, lib } => {
            let any_version = std::env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some();
            state::require_usable(&include, &lib, any_version).with_context(|| {
                format!(
                    "your own libtorch cannot serve (point LIBTORCH to an unpacked libtorch {VERSION}, or unset it \
                     and run `cargo xtask libtorch`)"
                )
            })?;
            eprintln!("    your own libtorch is used: {}", lib.display());
            Ok(())
        }
        Origin::Workspace => ensure_in(&default),
    }
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
