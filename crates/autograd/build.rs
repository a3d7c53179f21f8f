//! Compiles the C++ shim against the libtorch that torch-sys found, and writes the run path.

use std::error::Error;

#[path = "../../build/rpath.rs"]
mod rpath;
#[path = "../../build/shim.rs"]
mod shim;

fn main() -> Result<(), Box<dyn Error>> {
    rpath::main();
    shim::compile("src/shim.cpp", "lexmax_autograd_shim")
}
