//! A project outside the workspace that follows README alone builds, and its binary starts from
//! another folder.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that README gives for a project of one crate, each known by the comment on its first line.
const FILES: [&str; 4] = ["# Cargo.toml", "# .cargo/config.toml", "// build.rs", "// src/main.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The block of README that begins with a comment.
fn block<'a>(readme: &'a str, first: &str) -> &'a str {
    let mut blocks = readme.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(_, text)| text.lines().next() == Some(first));
    found.unwrap_or_else(|| panic!("README has no block that begins with `{first}`")).1
}

/// The profiles of the workspace: with them the project takes what is built already.
fn profiles(manifest: &str) -> &str {
    &manifest[manifest.find("[profile.").unwrap()..]
}

#[test]
fn project_made_from_readme_builds_and_starts_anywhere() {
    let (root, folder) = (root(), tempfile::tempdir().unwrap());
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let libtorch = std::env::var("LIBTORCH");
    for first in FILES {
        let mut text = block(&readme, first).replace("../lexmax", &root.display().to_string());
        match (first, &libtorch) {
            ("# Cargo.toml", _) => {
                text.push_str(profiles(&std::fs::read_to_string(root.join("Cargo.toml")).unwrap()));
            }
            // The one of this build; with LIBTORCH_USE_PYTORCH there is no folder to name.
            ("# .cargo/config.toml", Ok(folder)) => {
                assert!(text.contains("LIBTORCH = \"/path/to/libtorch\""), "{text}");
                text = text.replace("/path/to/libtorch", folder);
            }
            ("# .cargo/config.toml", Err(_)) => continue,
            _ => {}
        }
        let file = folder.path().join("mine").join(first.split_once(' ').unwrap().1);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    // The versions that are downloaded already.
    std::fs::copy(root.join("Cargo.lock"), folder.path().join("mine/Cargo.lock")).unwrap();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet"]).current_dir(folder.path().join("mine"));
    // What cargo tells this test is not for the project: it has README's file, and its own package.
    let told = std::env::vars_os().map(|(name, _)| name);
    for name in told.filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        cargo.env_remove(name);
    }
    cargo.env_remove("LIBTORCH").env("CARGO_TARGET_DIR", target);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut binary = Command::new(target.join("debug/mine"));
    let output = binary.current_dir("/").env_remove("LD_LIBRARY_PATH").output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    assert!(out.starts_with("loss ") && out.contains("best classes [4, 16, 10]"), "{out}");
}
