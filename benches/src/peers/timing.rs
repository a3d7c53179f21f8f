//! Times every case in turn, each in a process of its own, and never more than one at once.
//!
//! The cases of lexmax are timed by this very program, those of the others by the scripts in
//! `benches/peers`. Lines are stored as they come, so a run that is stopped leaves what it has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use lexmax_lab::{Experiment, Overrides, machine as lab, prepare_corpus};

use super::child::output;
use super::store::{Lines, last_line};
use super::{Line, machine, python, write_machines, write_peers};
use crate::Task;
use crate::plan::{Case, cases};

/// Folder of what is committed of full runs; each machine has one of its own in it.
const RESULTS: &str = "results/peers";
/// A quick run is for orientation only: it must not replace a full one.
const QUICK: &str = "target/peers-quick";
/// So often a full run goes through its cases; the repetitions of all rounds count as one sample. A
/// machine that others use too has slow seconds and slow minutes, and one process alone may fall
/// into them.
const ROUNDS: usize = 3;
/// A case that takes longer is not in the next round.
const SHORT: Duration = Duration::from_secs(30);
/// The experiment whose corpus the language models read.
const RECIPE: &str = "experiments/wikitext-2-pytorch.toml";

/// Options of the comparison.
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// An interpreter that has PyTorch and TensorFlow; without it they are installed into
    /// .peers-venv.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Small sizes, little time for each case, into target/peers-quick.
    #[arg(long)]
    quick: bool,
    /// One group of cases; stored lines of the others stay.
    #[arg(long, value_name = "GROUP")]
    only: Option<String>,
    /// Threads of both sides; all cores otherwise.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=i32::MAX as u64))]
    threads: Option<u64>,
    /// Table and charts of every machine from stored lines; nothing is timed.
    #[arg(long, conflicts_with_all = ["only", "python"])]
    report_only: bool,
}

/// Text that language models read.
struct Text {
    name: String,
    folder: PathBuf,
}

/// Times the cases that are asked for and prints the table, below the root of the workspace.
///
/// # Errors
/// A group that does not exist; a Python that does not do; a folder that cannot be written. A case
/// that fails is no error: its line says why.
pub fn peers(root: &Path, arguments: &PeersArgs) -> Result<()> {
    let results = root.join(if arguments.quick { QUICK } else { RESULTS });
    if arguments.report_only {
        return report_all(&results);
    }
    let plan = cases(arguments.quick);
    let chosen = match &arguments.only {
        Some(group) => of_group(plan.clone(), group)?,
        None => plan.clone(),
    };
    // After the plan: a group that does not exist is said before gigabytes are downloaded.
    let python = match &arguments.python {
        Some(python) => python::given(root, python)?,
        None => python::ensure(root)?,
    };
    let threads = arguments.threads.unwrap_or_else(|| lab::cores() as u64);
    let environment = lab::environment(commit(), threads as usize, "cpu", "f32");
    let folder = results.join(machine::folder(&environment));
    machine::refuse_others(&folder, &environment)?;
    let text = corpus(root);
    let name = text.as_ref().map(|text| text.name.as_str());
    let mut lines = Lines::empty(&folder);
    if arguments.only.is_some() {
        // Lines of other groups stay, those of this one are replaced as they come.
        lines = Lines::open(&folder)?;
        lines.keep_only(&plan, name);
        lines.require_threads(threads)?;
    }
    lines.write_environment(&serde_json::to_string_pretty(&environment)?)?;
    let program = std::env::current_exe().context("find this program, which times the cases of lexmax")?;
    let timer = Timer { root, program, python, threads, text, commit: environment.commit };
    timer.rounds(chosen, if arguments.quick { 1 } else { ROUNDS }, &mut lines)?;
    println!("{}", write_peers(&folder)?.text);
    println!("Lines, table and charts: {}", folder.display());
    println!("All machines: {}", write_machines(&results)?.display());
    Ok(())
}

/// Table and charts of every machine that left lines.
fn report_all(results: &Path) -> Result<()> {
    for folder in machine::folders(results)? {
        println!("{}", write_peers(&folder)?.text);
    }
    println!("All machines: {}", write_machines(results)?.display());
    Ok(())
}

/// The corpus of the language models, where its text is here.
fn corpus(root: &Path) -> Option<Text> {
    let prepare = || -> Result<Text> {
        let experiment = Experiment::load(&root.join(RECIPE), &Overrides::default())?;
        let (folder, corpus) = prepare_corpus(&experiment)?;
        Ok(Text { name: corpus.name().to_owned(), folder })
    };
    let prepared = prepare();
    if let Err(why) = &prepared {
        eprintln!(
            "Language models read ids by Zipf's law, since the text of `{RECIPE}` is not here: {why:#}"
        );
    }
    prepared.ok()
}

/// The cases of one group.
fn of_group(mut cases: Vec<Case>, group: &str) -> Result<Vec<Case>> {
    let mut groups: Vec<String> = cases.iter().map(|case| case.group.clone()).collect();
    groups.dedup();
    cases.retain(|case| case.group == group);
    if cases.is_empty() {
        bail!(
            "--only {group}: no case of this plan has that group{}",
            lexmax_records::expected_names(group, &groups)
        );
    }
    Ok(cases)
}

/// Everything that timing a case takes.
struct Timer<'a> {
    root: &'a Path,
    program: PathBuf,
    python: PathBuf,
    threads: u64,
    text: Option<Text>,
    commit: Option<String>,
}

impl Timer<'_> {
    /// Goes through the cases several times, the later times through the short ones only.
    fn rounds(&self, mut cases: Vec<Case>, rounds: usize, lines: &mut Lines) -> Result<()> {
        for round in 1..=rounds {
            eprintln!("Round {round} of {rounds}, {} cases", cases.len());
            let mut short = Vec::new();
            for (number, case) in cases.iter().enumerate() {
                let started = Instant::now();
                let line = self.time(case)?;
                let took = started.elapsed();
                let outcome = match &line.error {
                    Some(error) => format!("failed: {error}"),
                    None => format!("{} repetitions", line.ms.len()),
                };
                let seconds = took.as_secs_f64();
                eprintln!("{}/{} {case}: {outcome}, {seconds:.1} s", number + 1, cases.len());
                if round == 1 {
                    lines.replace(line)?
                } else {
                    lines.pool(line)?
                }
                if took < SHORT {
                    short.push(case.clone());
                }
            }
            cases = short;
        }
        Ok(())
    }

    /// The line of one case; a case that failed has one too.
    fn time(&self, case: &Case) -> Result<Line> {
        let line = match output(&mut self.command(case)?).and_then(|text| last_line(&text)) {
            Ok(line) => line,
            Err(error) => {
                let name = self.text.as_ref().map(|text| text.name.as_str());
                case.failed(self.threads, name, &format!("{error:#}"))
            }
        };
        Ok(Line { commit: self.commit.clone(), ..line })
    }

    /// The process of a case: the options are the same for every side.
    fn command(&self, case: &Case) -> Result<Command> {
        let mut command = match case.side.as_str() {
            "lexmax" => {
                let mut command = Command::new(&self.program);
                command.arg("run");
                command
            }
            side => {
                let name = match side {
                    "pytorch" => "pytorch_layers.py",
                    "tensorflow" => "tensorflow_sampled.py",
                    other => {
                        bail!("the plan has a case of `{other}`; expected lexmax, pytorch or tensorflow")
                    }
                };
                let mut command = Command::new(&self.python);
                command.arg(["benches", "peers", name].iter().collect::<PathBuf>());
                command
            }
        };
        command.current_dir(self.root).args(case.options()).arg("--threads").arg(self.threads.to_string());
        if let Some(text) = self.text.as_ref().filter(|_| case.work.task == Task::LanguageModel) {
            command.args([OsString::from("--corpus"), text.folder.clone().into()]);
        }
        Ok(command)
    }
}

/// Commit of the sources as they are now; changes below `results` are none of theirs.
fn commit() -> Option<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    lexmax_build::commit_of(&root, &[".", ":(exclude)results"])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn timer(root: &Path) -> Timer<'_> {
        let text = Text { name: "text".to_owned(), folder: "data/text".into() };
        let (program, python) = ("compare".into(), "python3".into());
        Timer { root, program, python, threads: 2, text: Some(text), commit: None }
    }

    fn words(command: &Command) -> String {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn case_becomes_the_options_of_its_side() {
        let plan = cases(true);
        let find = |side: &str, task: Task| {
            plan.iter().find(|case| case.side == side && case.work.task == task).unwrap().clone()
        };
        let timer = timer(Path::new("."));
        let ours = words(&timer.command(&find("lexmax", Task::Train)).unwrap());
        assert!(ours.starts_with("run --layer full --task train --rows 256 --width 256"), "{ours}");
        assert!(ours.ends_with("--variant fused --seconds 0.3 --threads 2"), "{ours}");
        let other = words(&timer.command(&find("pytorch", Task::LanguageModel)).unwrap());
        assert!(
            other.contains("pytorch_layers.py --layer full") && other.ends_with("--corpus data/text"),
            "{other}"
        );
        let unknown = Case { side: "jax".to_owned(), ..find("pytorch", Task::Train) };
        let error = timer.command(&unknown).unwrap_err().to_string();
        assert!(error.contains("`jax`") && error.contains("expected lexmax"), "{error}");
    }

    #[test]
    fn a_group_is_chosen_by_its_name() {
        let plan = cases(true);
        let mos = of_group(plan.clone(), "mos").unwrap();
        assert!(!mos.is_empty() && mos.iter().all(|case| case.group == "mos"));
        let error = of_group(plan, "moss").unwrap_err().to_string();
        assert!(error.contains("--only moss") && error.contains("did you mean `mos`?"), "{error}");
    }

    #[test]
    fn only_folders_of_machines_are_reported() {
        let results = tempfile::tempdir().unwrap();
        std::fs::create_dir(results.path().join("empty")).unwrap();
        let error = report_all(results.path()).unwrap_err().to_string();
        assert!(error.contains("no folder of a machine"), "{error}");
        assert!(report_all(&results.path().join("none")).unwrap_err().to_string().contains("list"));
    }
}
