//! Compilation of C++ that stands on libtorch's headers, against the libtorch that tch links.

use std::path::Path;

use crate::{BuildError, Libtorch};

/// Compiles the C++ file `source` of the package into the static library `name`, and links it with
/// the OpenMP library that libtorch uses.
///
/// # Errors
/// No libtorch or none of its headers is found, or the compiler fails.
pub fn compile(source: &str, name: &str) -> Result<(), BuildError> {
    println!("cargo::rerun-if-changed={source}");
    let libtorch = Libtorch::find()?;
    if !libtorch.include.join("torch/csrc/autograd/function.h").is_file() {
        return Err(BuildError::Headers(libtorch.include));
    }
    // The ABI of std::string that torch-sys assumes too.
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    // libtorch's loops over threads are templates of its headers, on OpenMP.
    cc::Build::new()
        .flag_if_supported("-fopenmp")
        .cpp(true)
        .std("c++20")
        .opt_level(1)
        .debug(false)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .include(&libtorch.include)
        .file(source)
        .try_compile(name)
        .map_err(|error| BuildError::Compile { file: source.to_owned(), source: error })?;
    link_openmp(&libtorch.lib)
}

/// Links the OpenMP library that libtorch brings, so that there is one pool of threads; the
/// compiler's where it brings none.
fn link_openmp(lib: &Path) -> Result<(), BuildError> {
    let entries = lib.read_dir().map_err(|source| BuildError::Folder { folder: lib.to_owned(), source })?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let brought = names.filter(|name| name.starts_with("libgomp") && name.contains(".so")).min();
    match brought {
        Some(name) => {
            println!("cargo::rustc-link-search=native={}", lib.display());
            println!("cargo::rustc-link-lib=dylib:+verbatim={name}");
        }
        None if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") => {
            println!("cargo::rustc-link-lib=dylib=gomp");
        }
        None => {}
    }
    Ok(())
}
