//! Paths within the workspace.

use std::path::{Path, PathBuf};

/// The root of the workspace. Cargo names the folder of this crate at run time; a binary started by
/// hand falls back on the place where it was built.
pub fn root() -> PathBuf {
    let crate_folder =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&crate_folder).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder that `.cargo/config.toml` names as LIBTORCH when the shell names none.
pub fn default_libtorch(root: &Path) -> PathBuf {
    root.join(".libtorch")
}
