//! Helper of build scripts: finds libtorch as tch does, and writes its folder into the run path of
//! binaries.
//!
//! ```
//! // build.rs
//! fn main() {
//!     lexmax_build::run_path();
//! }
//! ```
//!
//! tch's own build needs to be told where libtorch is: LIBTORCH names an unpacked one, or
//! LIBTORCH_USE_PYTORCH=1 takes the PyTorch of the active Python. The same search is made here.
//! With the feature `cpp`, `compile` builds C++ that stands on libtorch's headers.
// The example is a whole build script.
#![allow(clippy::needless_doctest_main)]

mod commit;
#[cfg(feature = "cpp")]
mod cpp;
mod libtorch;

pub use commit::{commit_of, git};
#[cfg(feature = "cpp")]
pub use cpp::compile;
pub use libtorch::Libtorch;

use std::path::PathBuf;

/// Writes the folder of libtorch's libraries into the run path of the package's binaries, tests,
/// examples and doctests.
///
/// Where no libtorch is found, cargo prints a warning that says the ways to have one. On docs.rs
/// and on systems without run paths this does nothing.
pub fn run_path() {
    if docs_rs() || std::env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    match Libtorch::find() {
        Ok(libtorch) => println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libtorch.lib.display()),
        Err(error) => println!("cargo::warning=binaries get no run path: {error}"),
    }
}

/// Whether this is a build of the documentation by docs.rs, where there is no libtorch and nothing
/// is linked.
pub fn docs_rs() -> bool {
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    std::env::var_os("DOCS_RS").is_some()
}

/// Error of finding libtorch, or of compiling C++ against it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No variable names a libtorch, and none is installed with the system.
    #[error(
        "no libtorch was found; expected LIBTORCH to name its folder (in the shell or in the table [env] of \
         .cargo/config.toml), or LIBTORCH_USE_PYTORCH=1 for the PyTorch of the active Python, or /usr/lib/libtorch.so"
    )]
    NotFound,
    /// LIBTORCH_USE_PYTORCH is set, and the active Python names no PyTorch.
    #[error("LIBTORCH_USE_PYTORCH is set, but `{interpreter}` names no folder of PyTorch: {answer}")]
    Python {
        /// The interpreter that was asked.
        interpreter: String,
        /// Its answer, or why it did not answer.
        answer: String,
    },
    /// libtorch's C++ headers are missing.
    #[error(
        "no libtorch headers in `{0}`; expected torch/csrc/autograd/function.h there, or LIBTORCH_INCLUDE to name the folder above"
    )]
    Headers(PathBuf),
    /// The folder of libraries cannot be read.
    #[error("cannot read the folder `{folder}` of libtorch's libraries")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The C++ compiler failed.
    #[cfg(feature = "cpp")]
    #[error("cannot compile `{file}` against libtorch")]
    Compile {
        /// The C++ file.
        file: String,
        /// The compiler's error.
        source: cc::Error,
    },
}

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
