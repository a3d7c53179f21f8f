//! The tests of the scripts in `peers`, by a Python that has numpy, where there is one.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_scripts_pass_their_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_peers = folder.with_file_name(".peers-venv").join("bin/python");
    let has_numpy = |python: &&Path| {
        Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|out| out.status.success())
    };
    let Some(python) = [&of_peers, Path::new("python3")].into_iter().find(has_numpy) else {
        eprintln!("skipped: no Python with numpy, neither python3 nor {}", of_peers.display());
        return;
    };
    let output = Command::new(python).arg(folder.join("peers/test_measure.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
