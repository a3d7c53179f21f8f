//! Writes the run path, and the commit that the binary is built from: what runs later in whatever folder cannot tell.

use std::path::Path;

#[path = "../lab/src/commit.rs"]
mod commit;
#[path = "../../build/rpath.rs"]
mod rpath;

/// What the binary is made of.
const SOURCES: [&str; 4] = ["crates", "build", "Cargo.toml", "Cargo.lock"];

fn main() {
    rpath::main();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let Some(commit) = commit::of_checkout(&root, &SOURCES) else { return };
    println!("cargo::rustc-env=LEXMAX_COMMIT={commit}");
    // Gets a line with every commit and checkout. Cargo takes a missing file for one that always changes.
    let log = commit::git(&root, &["rev-parse", "--git-path", "logs/HEAD"], &[]);
    if let Some(log) = log.map(|log| root.join(log.trim_end())).filter(|log| log.is_file()) {
        println!("cargo::rerun-if-changed={}", log.display());
    }
}
