//! lexmax beside other packages: one table of ratios and two charts, from the lines that `cargo
//! xtask peers` stores.
//!
//! Nothing here times anything. The folder holds `lines.jsonl` (one [`Line`] a case) and
//! `environment.json` (machine, threads, versions, commit); the table and the charts are written
//! beside them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lexmax_records::{Environment, write_atomically};
use lexmax_report::parts::{NONE, csv, escape, markdown, remove_stale, rendered};

use super::line::{Line, read};
use super::pairs::{self, Comparison, pairs};
use super::{chart, table};

/// The file of the lines within the folder.
pub const LINES: &str = "lines.jsonl";
/// The file of the environment within the folder.
pub const ENVIRONMENT: &str = "environment.json";

/// Files of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPaths {
    /// The table as Markdown.
    pub table: PathBuf,
    /// Every file written.
    pub files: Vec<PathBuf>,
    /// The text of the table's file.
    pub text: String,
}

/// Reads `lines.jsonl` and `environment.json` of a folder and writes `table.md`, `table.csv` and,
/// where at least two sizes of the vocabulary were timed, the charts `time` and `memory` as `.svg`
/// and `.png`. Charts of earlier lines that have no data any more are removed.
///
/// # Errors
/// A file cannot be read, a line or the environment is not what it should be, a table or chart
/// cannot be made, or the file system refuses. Each file is replaced whole or not at all.
pub fn write_peers(folder: &Path) -> Result<PeerPaths> {
    let lines = read_lines(folder)?;
    let environment = read_environment(folder)?;

    let mut files = Vec::new();
    let mut write = |file: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = folder.join(file);
        write_atomically(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        files.push(path.clone());
        Ok(path)
    };
    let comparisons = pairs(&lines, &environment.cpu);
    let text = page(&lines, &comparisons, &environment);
    let table = write("table.md", text.as_bytes())?;
    write("table.csv", &csv("table.csv", table::data(&comparisons))?)?;
    for chart in [chart::time(&lines), chart::memory(&lines)].into_iter().flatten() {
        for (file, bytes) in rendered(&chart)? {
            write(&file, &bytes)?;
        }
    }
    remove_stale(folder, &chart::FILES, &files)?;
    Ok(PeerPaths { table, files, text })
}

/// Machine that the lines of a folder were timed on.
///
/// # Errors
/// The file cannot be read, or is none of a machine.
pub fn read_environment(folder: &Path) -> Result<Environment> {
    let path = folder.join(ENVIRONMENT);
    serde_json::from_str(&read_file(&path)?).with_context(|| {
        format!("{}: expected the machine, as `cargo xtask peers` writes it", path.display())
    })
}

/// Lines of a folder.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn read_lines(folder: &Path) -> Result<Vec<Line>> {
    let path = folder.join(LINES);
    read(&path, &read_file(&path)?)
}

fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// `table.md`.
fn page(lines: &[Line], comparisons: &[Comparison<'_>], environment: &Environment) -> String {
    let mut out = String::from("# lexmax beside other packages\n\n");
    let mut software: Vec<&str> =
        lines.iter().map(|line| line.software.as_str()).filter(|name| !name.is_empty()).collect();
    software.sort_unstable();
    software.dedup();
    let mut commits: Vec<&str> = lines.iter().filter_map(|line| line.commit.as_deref()).collect();
    commits.sort_unstable();
    commits.dedup();
    let facts = [
        format!(
            "{}, {} cores, {} threads, {}",
            environment.cpu, environment.cores, environment.threads, environment.os
        ),
        software.join("; "),
        match commits.as_slice() {
            [] => environment.commit.as_ref().map_or_else(String::new, |commit| format!("commit {commit}")),
            [commit] => format!("commit {commit}"),
            several => format!("lines of several commits: {}", several.join(", ")),
        },
    ];
    for fact in facts.iter().filter(|fact| !fact.is_empty()) {
        out.push_str(&format!("> {}\n>\n", escape(fact)));
    }
    out.push_str("> f32; train: loss and gradients; step: loss, gradients and SGD update; products: the matrix products alone.\n\n");
    out.push_str(&markdown(&table::text(comparisons)));
    let verdicts: Vec<_> = comparisons
        .iter()
        .flat_map(|comparison| [comparison.time_met(), comparison.memory_met()])
        .flatten()
        .collect();
    let met = verdicts.iter().filter(|met| **met).count();
    out.push_str(&format!("\n{met} of {} measured targets are met.\n", verdicts.len()));
    out.push_str("Extra memory: the peak of a first call beyond inputs, parameters and gradients.\n");
    let failed: Vec<&Line> = lines.iter().filter(|line| line.error.is_some()).collect();
    if !failed.is_empty() {
        out.push_str("\n## Cases that failed\n\n");
        for line in failed {
            let why = line.error.as_deref().unwrap_or(NONE);
            let what = format!("{} ({}): {why}", pairs::title(line), table::name(line));
            out.push_str(&format!("* {}\n", escape(&what)));
        }
    }
    out
}
