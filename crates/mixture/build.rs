//! Writes the run path of libtorch into this package's tests and examples.

fn main() {
    lexmax_build::run_path();
}
