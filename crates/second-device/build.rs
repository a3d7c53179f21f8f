//! Compiles the device against the libtorch that torch-sys found, and writes the run path.

fn main() -> Result<(), lexmax_build::BuildError> {
    lexmax_build::run_path();
    lexmax_build::compile("src/device.cpp", "lexmax_second_device")
}
