//! Project tasks, called as `cargo xtask COMMAND`: install libtorch, show the demo, run the tests, check the tree, time
//! other packages beside lexmax.
//! This crate links no libtorch, so that it builds and helps where libtorch is missing.

mod check;
mod demo;
mod invariants;
mod libtorch;
mod peers;
mod step;
mod suite;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Project tasks.

Usage: cargo xtask COMMAND

Commands:
  libtorch   Install libtorch into .libtorch where it is missing or damaged
               cargo xtask libtorch
               cargo xtask libtorch --verify        read every file again and compare checksums
               cargo xtask libtorch --into FOLDER   install into another folder, for use as LIBTORCH
  demo       libtorch, release build, the quickstart experiment and its report
               cargo xtask demo
  test       libtorch, then the whole test suite; what follows `--` goes to `cargo test`
               cargo xtask test
               cargo xtask test -- -p lexmax-full gradient
  check      Formatting, invariants, clippy, documentation and tests, each without a warning
               cargo xtask check
  invariants Only the invariants of the source tree (a second; part of `check`)
               cargo xtask invariants
  peers      lexmax beside PyTorch and TensorFlow on this machine: times, memory, a table of ratios and charts in
             results/peers (half an hour on two cores; leave the machine alone meanwhile). The packages are
             installed into .peers-venv, a download of gigabytes, unless an interpreter is given
               cargo xtask peers
               cargo xtask peers --python PATH      an interpreter that has PyTorch and TensorFlow
               cargo xtask peers --quick            small sizes, 3 minutes, into target/peers-quick
               cargo xtask peers --only full        one group: full, full-large, adaptive, sampled, mos, evaluate,
                                                    top-10, language-model or grid; stored lines of the others stay
               cargo xtask peers --threads 1        threads of both sides; all cores otherwise
               cargo xtask peers --report-only      table and charts from stored lines, nothing is timed
  help       Print this text

A LIBTORCH of your own (an unpacked libtorch 2.13.0) or LIBTORCH_USE_PYTORCH=1 (the PyTorch 2.13.0 of the
Python at hand) is respected: then nothing is installed.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    let nothing_more = || match rest.first() {
        Some(extra) => bail!("`cargo xtask {command}` takes no argument, got `{extra}`"),
        None => Ok(()),
    };
    match command {
        "help" | "--help" | "-h" => print!("{HELP}"),
        "libtorch" => libtorch::command(&workspace::root()?, rest)?,
        "demo" => {
            nothing_more()?;
            demo::demo(&workspace::root()?)?;
        }
        "test" => suite::test(&workspace::root()?, rest)?,
        "check" => {
            nothing_more()?;
            check::check(&workspace::root()?)?;
        }
        "peers" => peers::command(&workspace::root()?, rest)?,
        "invariants" => {
            nothing_more()?;
            step::step("invariants", || invariants::require(&workspace::root()?))?;
        }
        other => {
            eprintln!("{HELP}");
            bail!(
                "there is no command `{other}`; expected libtorch, demo, test, check, invariants, peers or help"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(args: &[&str]) -> Result<()> {
        dispatch(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn unknown_commands_and_arguments_are_refused_by_name() {
        assert!(run(&["chekc"]).unwrap_err().to_string().contains("`chekc`"));
        assert!(run(&["demo", "--fast"]).unwrap_err().to_string().contains("`--fast`"));
        assert!(run(&["libtorch", "--verfy"]).unwrap_err().to_string().contains("`--verfy`"));
        assert!(run(&["peers", "--qiuck"]).unwrap_err().to_string().contains("`--qiuck`"));
        assert!(run(&["libtorch", "--into"]).unwrap_err().to_string().contains("--into"));
    }

    #[test]
    fn help_shows_an_example_of_every_command() {
        run(&[]).unwrap();
        for command in ["libtorch", "demo", "test", "check", "invariants", "peers"] {
            assert!(HELP.contains(&format!("cargo xtask {command}")), "{command}");
        }
    }
}
