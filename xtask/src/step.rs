//! Named, timed steps and the child processes that they run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Environment variable from which the property tests (proptest) read the seed of their cases.
const CASES_SEED: &str = "PROPTEST_RNG_SEED";

/// Runs one step: prints its name, then how long it took; an error says which step failed, and ends
/// the task.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let value = work().with_context(|| format!("step `{name}` failed after {:.1?}", start.elapsed()))?;
    eprintln!("    {name}: done in {:.1?}", start.elapsed());
    Ok(value)
}

/// Cargo at the workspace root, with the environment of the user's shell: what the cargo that
/// started this task added is taken out, for a build script that watches such a variable would run
/// anew with every change between `cargo xtask test` and `cargo test` (for torch-sys that is a
/// minute of C++). Property tests draw [the same cases](same_cases) at every run.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, value) in std::env::vars_os() {
        if set_by_cargo(root, &name.to_string_lossy(), Path::new(&value)) {
            command.env_remove(&name);
        }
    }
    same_cases(&mut command);
    command
}

/// Gives property tests below the command the same cases at every run, so that a check that passed
/// passes again; under plain `cargo test` they draw new ones. A seed of the user's is left.
pub fn same_cases(command: &mut Command) {
    if std::env::var_os(CASES_SEED).is_none() {
        command.env(CASES_SEED, "13");
    }
}

fn set_by_cargo(root: &Path, name: &str, value: &Path) -> bool {
    let of_package = name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    of_package || (name == "LIBTORCH" && value == workspace::default_libtorch(root))
}

/// Runs a child process whose output passes through; an exit status other than 0 is an error that
/// names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}; its own output above says why");
    }
    Ok(())
}

/// Whether the program starts and ends well, in silence.
pub fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The command as one would type it, with the program's file name only.
pub fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn failed_child_names_its_command_and_the_step() {
        let error = step("shell", || run(Command::new("sh").args(["-c", "exit 3"]))).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("step `shell` failed"), "{text}");
        assert!(text.contains("`sh -c exit 3` ended with exit status: 3"), "{text}");
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program-here`"));
    }

    #[test]
    fn variables_of_the_outer_cargo_do_not_reach_the_nested_one() {
        let command = cargo(Path::new("."));
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert!(removed.iter().any(|(name, _)| *name == "CARGO_PKG_NAME"), "{removed:?}");
        let seeded = command.get_envs().any(|(name, value)| name == CASES_SEED && value.is_some());
        assert!(seeded || std::env::var_os(CASES_SEED).is_some());
        let root = Path::new("/project");
        assert!(set_by_cargo(root, "LIBTORCH", Path::new("/project/.libtorch")));
        assert!(!set_by_cargo(root, "LIBTORCH", Path::new("/opt/libtorch")));
        assert!(!set_by_cargo(root, "CARGO_TARGET_DIR", Path::new("/project/.libtorch")));
    }
}
