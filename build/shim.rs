//! Compiles C++ that stands on libtorch's headers, against the libtorch that torch-sys found.

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// Compiles `source` into the static library `name` and links it.
pub fn compile(source: &str, name: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={source}");
    let include = include_folder()?;
    if !include.join("torch/csrc/autograd/function.h").is_file() {
        return Err(format!("no libtorch headers in {}; set LIBTORCH_INCLUDE", include.display()).into());
    }
    // The ABI of std::string that torch-sys assumes too.
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    // libtorch's loops over threads are templates of its headers, on OpenMP.
    cc::Build::new()
        .flag_if_supported("-fopenmp")
        .cpp(true)
        .std("c++20")
        .opt_level(1)
        .debug(false)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .include(include)
        .file(source)
        .try_compile(name)?;
    link_openmp()
}

/// Links the OpenMP library that libtorch brings, so that there is one pool of threads; the compiler's where it brings none.
fn link_openmp() -> Result<(), Box<dyn Error>> {
    let lib = library_folder()?;
    let names = std::fs::read_dir(&lib)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let brought = names.filter(|name| name.starts_with("libgomp") && name.contains(".so")).min();
    match brought {
        Some(name) => {
            println!("cargo::rustc-link-search=native={}", lib.display());
            println!("cargo::rustc-link-lib=dylib:+verbatim={name}");
        }
        None if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") => {
            println!("cargo::rustc-link-lib=dylib=gomp");
        }
        None => {}
    }
    Ok(())
}

/// Where torch-sys found the libraries.
fn library_folder() -> Result<PathBuf, Box<dyn Error>> {
    let lib = env::var_os("DEP_TCH_LIBTORCH_LIB").ok_or("torch-sys did not say where libtorch lies")?;
    Ok(PathBuf::from(lib))
}

/// Where `torch/csrc/...` lies: LIBTORCH_INCLUDE names the folder above it, as for torch-sys; without it the headers
/// stand beside the libraries that torch-sys links.
fn include_folder() -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    if let Some(root) = env::var_os("LIBTORCH_INCLUDE") {
        return Ok(PathBuf::from(root).join("include"));
    }
    Ok(library_folder()?.join("../include"))
}
