//! `cargo xtask peers`: lexmax beside other packages, timed in turn on this machine.
//!
//! The binary `compare` of `lexmax-benches` says which cases there are, times those of lexmax and makes the table; scripts in
//! `benches/peers` time the others. Each case is a process of its own, and there is never more than one. Lines are stored as
//! they come, so a run that is stopped leaves what it has.

mod arguments;
mod lines;
mod python;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{libtorch, step};
use arguments::Arguments;
use lines::Lines;

/// What is committed of a full run.
const RESULTS: &str = "results/peers";
/// So often a full run goes through its cases; the repetitions of all rounds count as one sample. A machine that others
/// use too has slow seconds and slow minutes, and one process alone may fall into them.
const ROUNDS: usize = 3;
/// A case that takes longer is not in the next round.
const SHORT: Duration = Duration::from_secs(30);
/// The experiment whose corpus the language models read.
const RECIPE: &str = "experiments/wikitext-2-pytorch.toml";
/// A quick run is for orientation only: it must not replace a full one.
const QUICK: &str = "target/peers-quick";

/// Reads the arguments and does it.
pub fn command(root: &Path, given: &[String]) -> Result<()> {
    let arguments = Arguments::parse(given)?;
    step::step("libtorch", || libtorch::ensure(root))?;
    let what = "release build of the benches (the first one takes minutes, nearly all of it dependencies)";
    step::step(what, || {
        step::run(step::cargo(root).args([
            "build",
            "--release",
            "--package",
            "lexmax-benches",
            "--bin",
            "compare",
        ]))
    })?;
    let compare = Compare { root };
    let folder = root.join(if arguments.quick { QUICK } else { RESULTS });
    if !arguments.report_only {
        // Before Python: a group that does not exist is said before gigabytes are downloaded.
        let plan = Plan::new(&compare, &arguments)?;
        let python = match &arguments.python {
            Some(python) => python::given(root, python)?,
            None => step::step("Python with the other packages", || python::ensure(root))?,
        };
        step::step("cases", || time(&compare, &python, &folder, &arguments, plan))?;
    }
    let table = compare.output(&["report", &folder.to_string_lossy()])?;
    println!("{table}");
    println!("Lines, table and charts: {}", folder.display());
    Ok(())
}

/// The binary of lexmax's side, run through cargo, which knows where it lies.
struct Compare<'a> {
    root: &'a Path,
}

impl Compare<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = step::cargo(self.root);
        command.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "lexmax-benches",
            "--bin",
            "compare",
            "--",
        ]);
        command.args(arguments);
        command
    }

    /// What it prints on standard output; an exit status other than 0 is an error with what it says.
    fn output(&self, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(arguments))
    }
}

/// Standard output of a child that ends well.
fn output(command: &mut Command) -> Result<String> {
    let line = step::command_line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{line}` ended with {}: {}", output.status, last_words(&error));
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed no text"))
}

/// The end of what a program said: a traceback's last line says what happened.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join(" ");
    if last.is_empty() { "it said nothing".to_owned() } else { last }
}

/// All cases there are, and those that are asked for.
struct Plan {
    all: Vec<Value>,
    cases: Vec<Value>,
}

impl Plan {
    fn new(compare: &Compare<'_>, arguments: &Arguments) -> Result<Self> {
        let all = cases(compare, arguments.quick)?;
        let cases = match &arguments.only {
            Some(group) => of_group(all.clone(), group)?,
            None => all.clone(),
        };
        Ok(Self { all, cases })
    }
}

/// Times every case in turn.
fn time(
    compare: &Compare<'_>,
    python: &Path,
    folder: &Path,
    arguments: &Arguments,
    plan: Plan,
) -> Result<()> {
    let Plan { all, mut cases } = plan;
    let mut lines = Lines::empty(folder);
    if arguments.only.is_some() {
        // Lines of other groups stay, those of this one are replaced as they come.
        lines = Lines::open(folder)?;
        lines.keep_only(&all);
        lines.require_threads(arguments.threads)?;
    }
    let threads = arguments.threads.to_string();
    let environment = compare.output(&["environment", "--threads", &threads])?;
    let commit = serde_json::from_str::<Value>(&environment)
        .context("`compare environment` printed no JSON")?["commit"]
        .take();
    lines.write_environment(&environment)?;
    let rounds = if arguments.quick { 1 } else { ROUNDS };
    for round in 1..=rounds {
        eprintln!("    Round {round} of {rounds}, {} cases", cases.len());
        let mut short = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let started = Instant::now();
            let mut line = time_case(compare, python, case, arguments.threads)?;
            line["commit"] = commit.clone();
            let outcome = line.get("error").and_then(Value::as_str).map_or_else(
                || format!("{} repetitions", line["ms"].as_array().map_or(0, Vec::len)),
                |error| format!("failed: {error}"),
            );
            let what = format!("{}/{} {}", number + 1, cases.len(), description(case)?);
            eprintln!("    {what}: {outcome}, {:.1?}", started.elapsed());
            if round == 1 {
                lines.replace(line)?
            } else {
                lines.pool(line)?
            }
            if started.elapsed() < SHORT {
                short.push(case.clone());
            }
        }
        cases = short;
    }
    Ok(())
}

/// The line of one case, timed in a process of its own; a case that failed has one too.
fn time_case(compare: &Compare<'_>, python: &Path, case: &Value, threads: usize) -> Result<Value> {
    let words = case_arguments(case, &threads.to_string())?;
    let mut child = match text(case, "side")? {
        "lexmax" => {
            let mut command = compare.command(&["run"]);
            command.args(&words);
            command
        }
        side => script(compare.root, python, side, &words)?,
    };
    Ok(match output(&mut child).and_then(|text| lines::last_object(&text)) {
        Ok(line) => line,
        Err(error) => lines::failure(case, threads, &format!("{error:#}")),
    })
}

/// Side, layer, variant, task and sizes, for people.
fn description(case: &Value) -> Result<String> {
    let names = ["side", "layer", "variant", "task"].map(|name| text(case, name));
    let names = names.into_iter().collect::<Result<Vec<_>>>()?.join(" ");
    Ok(format!("{names} N={} D={} V={}", case["rows"], case["width"], case["classes"]))
}

/// The cases, those of language models with the corpus that they read where its text is here.
fn cases(compare: &Compare<'_>, quick: bool) -> Result<Vec<Value>> {
    let quick: &[&str] = if quick { &["--quick"] } else { &[] };
    let mut cases = lines::objects(&compare.output(&[&["plan"], quick].concat())?)?;
    match compare.output(&["corpus", RECIPE]).and_then(|text| lines::last_object(&text)) {
        Ok(corpus) => cases.iter_mut().filter(|case| reads_text(case)).for_each(|case| {
            case["corpus"] = corpus["name"].clone();
            case["corpus_folder"] = corpus["folder"].clone();
        }),
        Err(why) => eprintln!(
            "    The language models read ids by Zipf's law, since the text of `{RECIPE}` is not here: {why:#}"
        ),
    }
    Ok(cases)
}

/// The cases of one group.
fn of_group(mut cases: Vec<Value>, group: &str) -> Result<Vec<Value>> {
    let mut groups: Vec<String> =
        cases.iter().filter_map(|case| Some(case["group"].as_str()?.to_owned())).collect();
    groups.dedup();
    cases.retain(|case| case["group"] == group);
    if cases.is_empty() {
        bail!("--only {group}: no case of this plan has that group; expected one of {}", groups.join(", "));
    }
    Ok(cases)
}

/// Whether a case reads a corpus where there is one.
fn reads_text(case: &Value) -> bool {
    case["task"] == "language-model"
}

/// The script of another package.
fn script(root: &Path, python: &Path, side: &str, words: &[String]) -> Result<Command> {
    let name = match side {
        "pytorch" => "pytorch_layers.py",
        "tensorflow" => "tensorflow_sampled.py",
        other => anyhow::bail!("the plan has a case of `{other}`; expected lexmax, pytorch or tensorflow"),
    };
    let path: PathBuf = ["benches", "peers", name].iter().collect();
    let mut command = Command::new(python);
    command.current_dir(root).arg(path).args(words);
    Ok(command)
}

/// The options of a case, the same for every side.
fn case_arguments(case: &Value, threads: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for name in ["layer", "variant", "task", "rows", "width", "classes", "seconds"] {
        let value = case.get(name).with_context(|| format!("a case of the plan has no `{name}`: {case}"))?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        words.extend([format!("--{name}"), value]);
    }
    words.extend(["--threads".to_owned(), threads.to_owned()]);
    if let Some(folder) = case["corpus_folder"].as_str() {
        words.extend(["--corpus".to_owned(), folder.to_owned()]);
    }
    Ok(words)
}

fn text<'a>(case: &'a Value, name: &str) -> Result<&'a str> {
    case[name].as_str().with_context(|| format!("a case of the plan has no text `{name}`: {case}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_case_becomes_options_and_its_script() {
        let mut case = json!({"group": "mos", "side": "pytorch", "variant": "eager", "layer": "mos", "task": "train",
            "rows": 256, "width": 64, "classes": 1000, "seconds": 0.5});
        let words = case_arguments(&case, "2").unwrap();
        assert_eq!(words[..4], ["--layer", "mos", "--variant", "eager"]);
        assert_eq!(words[12..], ["--seconds", "0.5", "--threads", "2"]);
        case["corpus_folder"] = "data/text".into();
        assert_eq!(case_arguments(&case, "2").unwrap()[16..], ["--corpus", "data/text"]);
        let command = script(Path::new("."), Path::new("python3"), "pytorch", &words).unwrap();
        assert!(step::command_line(&command).contains("pytorch_layers.py --layer mos"));
        let error = script(Path::new("."), Path::new("python3"), "jax", &words).unwrap_err().to_string();
        assert!(error.contains("`jax`") && error.contains("expected lexmax"), "{error}");
        let error = case_arguments(&json!({"layer": "mos"}), "2").unwrap_err().to_string();
        assert!(error.contains("`variant`"), "{error}");
    }

    #[test]
    fn a_group_is_chosen_by_its_name() {
        let cases: Vec<Value> = ["full", "full", "mos"].map(|group| json!({"group": group})).into();
        assert_eq!(of_group(cases.clone(), "full").unwrap().len(), 2);
        let error = of_group(cases, "moss").unwrap_err().to_string();
        assert!(error.contains("--only moss") && error.ends_with("expected one of full, mos"), "{error}");
    }

    #[test]
    fn a_child_that_fails_is_told_by_its_last_words() {
        let mut child = Command::new("sh");
        let error = output(child.args(["-c", "echo a >&2; echo b >&2; echo no module named x >&2; exit 3"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("exit status: 3: b no module named x"), "{error}");
    }
}
