//! The environment variable that forces a level of vector instructions, seen from processes of
//! their own.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use lexmax_kernels::Level;

const VARIABLE: &str = "LEXMAX_LEVEL";
/// Set for the process that only says its level.
const ASKED: &str = "LEXMAX_LEVEL_ASKED";

#[test]
fn level_variable_decides_what_best_gives() {
    if std::env::var_os(ASKED).is_some() {
        println!("level={:?};", Level::best());
        return;
    }
    let available = |level: Level| if level.is_available() { level } else { Level::Portable };
    let fastest = Level::ALL.into_iter().rev().find(|level| level.is_available()).unwrap();
    let cases = [
        (None, fastest),
        (Some(""), fastest),
        (Some("portable"), Level::Portable),
        (Some("avx2"), available(Level::Avx2)),
        (Some("avx512"), available(Level::Avx512)),
        (Some("sse9"), Level::Portable),
    ];
    for (name, expected) in cases {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "level_variable_decides_what_best_gives", "--nocapture"]).env(ASKED, "1");
        match name {
            Some(name) => child.env(VARIABLE, name),
            None => child.env_remove(VARIABLE),
        };
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("level={expected:?};")), "{VARIABLE}={name:?} gave {said}");
    }
}
