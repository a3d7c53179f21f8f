//! Project tasks, called as `cargo xtask COMMAND`.
//! This crate links no libtorch, so that it builds and helps where libtorch is missing.

mod check;
mod demo;
mod fuzz;
mod invariants;
mod libtorch;
mod machines;
mod sanitize;
mod step;
mod suite;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

/// Project tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", after_help = LIBTORCH)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

const LIBTORCH: &str = "\
A LIBTORCH of your own (an unpacked libtorch 2.13.0) or LIBTORCH_USE_PYTORCH=1 (the PyTorch 2.13.0 of the
Python at hand) is respected: then nothing is installed.";

#[derive(Subcommand)]
enum Task {
    /// Install libtorch into .libtorch where it is missing or damaged.
    #[command(after_help = "Examples:\n  cargo xtask libtorch\n  cargo xtask libtorch --into /opt/libtorch")]
    Libtorch {
        /// Install into this folder instead.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Install libtorch, build, run the quickstart experiment and write its report.
    #[command(after_help = "Example: cargo xtask demo")]
    Demo,
    /// Install libtorch, then run the whole test suite.
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -- -p lexmax-full gradient")]
    Test {
        /// Arguments of `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Run everything that must hold before a change goes in.
    #[command(
        after_help = "Examples:\n  cargo xtask check\n  cargo xtask check --only invariants --only levels"
    )]
    Check {
        /// Run this step alone (may be given several times).
        #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(check::names()))]
        only: Vec<String>,
    },
    /// Give changed and made-up input to every reader of foreign bytes.
    #[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz text record --seconds 600")]
    Fuzz {
        /// Targets; all where none is named.
        #[arg(value_name = "TARGET", value_parser = PossibleValuesParser::new(fuzz::names()))]
        targets: Vec<String>,
        /// Seconds for each target.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
    },
    /// Run the kernels' tests under AddressSanitizer, where a nightly toolchain is installed.
    #[command(after_help = "Example: cargo xtask sanitize")]
    Sanitize,
    /// Time lexmax beside PyTorch and TensorFlow on this machine.
    #[command(after_help = "Example: cargo xtask peers --quick")]
    Peers {
        /// Arguments of the comparison.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    let root = workspace::root();
    match task {
        Task::Libtorch { into: Some(folder) } => libtorch::install_into(&folder),
        Task::Libtorch { into: None } => libtorch::ensure(&root),
        Task::Demo => demo::demo(&root),
        Task::Test { args } => suite::test(&root, &args),
        Task::Check { only } => check::check(&root, &only),
        Task::Fuzz { targets, seconds } => fuzz::fuzz(&root, &targets, seconds, None),
        Task::Sanitize => sanitize::sanitize(&root),
        Task::Peers { args } => peers(&root, &args),
    }
}

/// Runs the comparison of `lexmax-benches` in the folder that the user is in, where a path given
/// to it is meant from.
fn peers(root: &Path, args: &[String]) -> Result<()> {
    step::step("libtorch", || libtorch::ensure(root))?;
    let mut command = step::cargo(root);
    command.current_dir(std::env::current_dir()?).args(["run", "--release", "--manifest-path"]);
    command.arg(root.join("Cargo.toml")).args(["--package=lexmax-benches", "--bin=compare", "--", "peers"]);
    step::run(command.args(args))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    fn refusal(args: &[&str]) -> String {
        let line = ["xtask"].iter().chain(args);
        Arguments::try_parse_from(line).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn unknown_arguments_are_refused_by_name() {
        for args in
            [["chekc"].as_slice(), &["demo", "--fast"], &["libtorch", "--verfy"], &["check", "--only", "x"]]
        {
            let last = args.last().unwrap();
            assert!(refusal(args).contains(&format!("'{last}'")), "{args:?}: {}", refusal(args));
        }
        assert!(refusal(&["libtorch", "--into"]).contains("--into"));
    }

    #[test]
    fn test_arguments_reach_cargo_as_given() {
        let line = ["xtask", "test", "--", "-p", "lexmax-full", "--", "--nocapture"];
        let Task::Test { args } = Arguments::try_parse_from(line).unwrap().task else {
            panic!("another task")
        };
        assert_eq!(args, ["-p", "lexmax-full", "--", "--nocapture"]);
    }

    #[test]
    fn help_of_every_command_has_an_example() {
        for command in Arguments::command().get_subcommands_mut() {
            let help = command.render_help().to_string();
            assert!(help.contains(&format!("cargo xtask {}", command.get_name())), "{help}");
        }
    }
}
