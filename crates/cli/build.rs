//! Writes the run path, and the commit that the binary is built from: a command that runs later in
//! some folder cannot tell.

use std::path::Path;

/// Paths whose last commit is the binary's.
const SOURCES: [&str; 3] = ["crates", "Cargo.toml", "Cargo.lock"];

fn main() {
    lexmax_build::run_path();
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let Some(commit) = lexmax_build::commit_of(&root, &SOURCES) else { return };
    println!("cargo::rustc-env=LEXMAX_COMMIT={commit}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    // Gets a line with every commit and checkout. Cargo takes a missing file for one that always
    // changes.
    let log = lexmax_build::git(&root, &["rev-parse", "--git-path", "logs/HEAD"], &[]);
    if let Some(log) = log.map(|log| root.join(log.trim_end())).filter(|log| log.is_file()) {
        println!("cargo::rerun-if-changed={}", log.display());
    }
}
