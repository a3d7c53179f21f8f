//! The stored lines: one JSON object a case, in the order in which the cases first ran.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What tells two cases apart.
const KEY: [&str; 9] = ["side", "layer", "variant", "task", "corpus", "rows", "width", "classes", "threads"];

/// The lines of a folder, which are written whole after each change.
pub struct Lines {
    folder: PathBuf,
    lines: Vec<Value>,
}

impl Lines {
    /// No line yet; those in the folder are replaced when the first comes.
    pub fn empty(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), lines: Vec::new() }
    }

    /// The lines in the folder, none where there is no file.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("lines.jsonl");
        let mut lines = Self::empty(folder);
        if path.exists() {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            lines.lines = objects(&text).with_context(|| format!("in `{}`", path.display()))?;
        }
        Ok(lines)
    }

    /// Puts a line in the place of the one of the same case, or at the end, and writes all.
    pub fn replace(&mut self, line: Value) -> Result<()> {
        match self.lines.iter_mut().find(|other| same_case(other, &line)) {
            Some(other) => *other = line,
            None => self.lines.push(line),
        }
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        self.write("lines.jsonl", &text)
    }

    /// Drops the lines of cases that are not among these: of a plan that has changed since.
    pub fn keep_only(&mut self, cases: &[Value]) {
        self.lines.retain(|line| cases.iter().any(|case| same_work(line, case)));
    }

    /// Refuses lines that were timed with another number of threads: they would stand in one table with those to come.
    pub fn require_threads(&self, threads: usize) -> Result<()> {
        match self.lines.iter().find(|line| line["threads"] != threads) {
            None => Ok(()),
            Some(line) => bail!(
                "the stored lines in `{}` were timed with {} threads; expected as many, by --threads, or a run of all groups",
                self.folder.display(),
                line["threads"]
            ),
        }
    }

    /// Adds the repetitions of a line to those of the same case; a line without any changes nothing.
    pub fn pool(&mut self, mut line: Value) -> Result<()> {
        let Some(stored) = self.lines.iter().find(|other| same_case(other, &line)) else {
            return self.replace(line);
        };
        let ms = |line: &Value| line["ms"].as_array().cloned().unwrap_or_default();
        let (first, more) = (ms(stored), ms(&line));
        if more.is_empty() {
            return Ok(());
        }
        // The memory of the first call is the same each time; the first round that told it is kept.
        if !stored["extra_bytes"].is_null() {
            line["extra_bytes"] = stored["extra_bytes"].clone();
        }
        line["ms"] = first.into_iter().chain(more).collect();
        self.replace(line)
    }

    /// Writes the description of machine and versions beside the lines.
    pub fn write_environment(&self, text: &str) -> Result<()> {
        self.write("environment.json", text)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        let partial = self.folder.join(format!("{name}.tmp"));
        fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&partial, text))
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| format!("cannot write `{}`", path.display()))
    }
}

fn same_case(one: &Value, other: &Value) -> bool {
    same_work(one, other) && one["threads"] == other["threads"]
}

/// The same case but perhaps for the threads, which a plan does not name.
fn same_work(one: &Value, other: &Value) -> bool {
    KEY.iter().filter(|key| **key != "threads").all(|key| one[*key] == other[*key])
}

/// Every line of a text as an object.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: `{line}`"))).collect()
}

/// The last line that is an object: packages sometimes say things on standard output.
pub fn last_object(text: &str) -> Result<Value> {
    let parse = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    text.lines().rev().find_map(parse).context("it printed no line of JSON")
}

/// The line of a case that gave none.
pub fn failure(case: &Value, threads: usize, why: &str) -> Value {
    let mut line = json!({});
    for key in KEY.iter().filter(|key| **key != "threads") {
        line[*key] = case[*key].clone();
    }
    line["threads"] = threads.into();
    line["error"] = why.into();
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_case_has_one_line_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("peers");
        let case = |layer: &str, ms: f64| {
            let mut line = failure(&json!({"side": "lexmax", "layer": layer, "rows": 4}), 2, "");
            line["ms"] = json!([ms]);
            line
        };
        let mut lines = Lines::open(&folder).unwrap();
        for line in [case("full", 1.0), case("mos", 2.0)] {
            lines.replace(line).unwrap();
        }
        let mut again = Lines::open(&folder).unwrap();
        again.replace(case("full", 3.0)).unwrap();
        let stored = Lines::open(&folder).unwrap().lines;
        assert_eq!(stored, [case("full", 3.0), case("mos", 2.0)]);
        // Another round's repetitions are added; a round that failed takes nothing away.
        again.pool(case("full", 5.0)).unwrap();
        again.pool(failure(&json!({"side": "lexmax", "layer": "full", "rows": 4}), 2, "no")).unwrap();
        let stored = Lines::open(&folder).unwrap().lines;
        assert_eq!((stored[0]["ms"].clone(), stored.len()), (json!([3.0, 5.0]), 2));
        assert!(again.require_threads(2).is_ok());
        let error = again.require_threads(1).unwrap_err().to_string();
        assert!(error.contains("timed with 2 threads"), "{error}");
        again.keep_only(&[json!({"side": "lexmax", "layer": "full", "rows": 4})]);
        again.replace(case("nce", 1.0)).unwrap();
        let layers: Vec<Value> =
            Lines::open(&folder).unwrap().lines.iter().map(|line| line["layer"].clone()).collect();
        assert_eq!(layers, ["full", "nce"]);
        // A full run starts anew.
        Lines::empty(&folder).replace(case("mos", 4.0)).unwrap();
        assert_eq!(Lines::open(&folder).unwrap().lines, [case("mos", 4.0)]);
    }

    #[test]
    fn a_line_is_found_among_other_words_or_missed_by_name() {
        assert_eq!(last_object("loading\n{\"ms\": [1]}\nbye 3\n").unwrap()["ms"], json!([1]));
        assert!(last_object("3\nnothing").unwrap_err().to_string().contains("no line of JSON"));
        assert!(objects("{}\nx").unwrap_err().to_string().contains("`x`"));
    }
}
