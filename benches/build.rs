//! Writes the run path of libtorch into the benches and binaries.

fn main() {
    lexmax_build::run_path();
}
