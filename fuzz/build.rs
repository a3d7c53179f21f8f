//! The run path of libtorch for the targets that link it.

#[path = "../build/rpath.rs"]
mod rpath;

fn main() {
    if std::env::var_os("CARGO_FEATURE_LAB").is_some() {
        rpath::main();
    }
}
