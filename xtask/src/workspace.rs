//! Where things lie in the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The root of the workspace. Cargo names the folder of this crate at run time; a binary started by hand falls
/// back on where it was built.
pub fn root() -> Result<PathBuf> {
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = crate_folder.parent().map(Path::to_path_buf).unwrap_or_default();
    ensure!(
        root.join("xtask").is_dir() && root.join("Cargo.toml").is_file(),
        "`{}` is not the root of the workspace (expected Cargo.toml and xtask/ in it); \
         run `cargo xtask` inside the workspace",
        root.display()
    );
    Ok(root)
}

/// The folder that `.cargo/config.toml` names as LIBTORCH when the shell names none.
pub fn default_libtorch(root: &Path) -> PathBuf {
    root.join(".libtorch")
}
