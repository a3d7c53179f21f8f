//! Compiles the C++ shim against the libtorch that torch-sys found, and writes the run path.

fn main() -> Result<(), lexmax_build::BuildError> {
    if lexmax_build::docs_rs() {
        return Ok(());
    }
    lexmax_build::run_path();
    lexmax_build::compile("src/shim.cpp", "lexmax_autograd_shim")
}
