//! Build script of every crate that links libtorch: writes the folder of its libraries into the run path, so that
//! binaries, tests and doctests start from any folder without LD_LIBRARY_PATH.

use std::env;
use std::path::PathBuf;

/// Also called by the build scripts that have more to do.
pub fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    let root = env::var_os("LIBTORCH_LIB").or_else(|| env::var_os("LIBTORCH"));
    let target = env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if let Some(root) = root.filter(|_| target == "unix") {
        let lib = PathBuf::from(root).join("lib");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
