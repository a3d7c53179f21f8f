//! Writes the run path of libtorch into the targets that link it.

fn main() {
    if std::env::var_os("CARGO_FEATURE_LAB").is_some() {
        lexmax_build::run_path();
    }
}
