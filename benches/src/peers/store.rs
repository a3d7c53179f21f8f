//! The stored lines: one JSON object a case, in the order in which the cases first ran.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lexmax_records::write_atomically;

use super::line::{self, Line};
use super::report::{ENVIRONMENT, LINES};
use crate::plan::Case;

/// The lines of a folder, which are written whole after each change.
pub struct Lines {
    folder: PathBuf,
    lines: Vec<Line>,
}

impl Lines {
    /// No line yet; those in the folder are replaced when the first comes.
    pub fn empty(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), lines: Vec::new() }
    }

    /// The lines in the folder, none where there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else than lines.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(LINES);
        let mut lines = Self::empty(folder);
        if path.exists() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            lines.lines = line::read(&path, &text)?;
        }
        Ok(lines)
    }

    /// Puts a line in the place of the one of the same case, or at the end, and writes all.
    ///
    /// # Errors
    /// The file system refused.
    pub fn replace(&mut self, line: Line) -> Result<()> {
        match self.lines.iter_mut().find(|other| same_case(other, &line)) {
            Some(other) => *other = line,
            None => self.lines.push(line),
        }
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        self.write(LINES, &text)
    }

    /// Drops the lines of cases that are not among these: of a plan that has changed since.
    pub fn keep_only(&mut self, cases: &[Case], corpus: Option<&str>) {
        let planned = |line: &Line| {
            cases.iter().any(|case| {
                let wanted = case.failed(line.threads, corpus, "");
                same_case(&wanted, line)
            })
        };
        self.lines.retain(planned);
    }

    /// Refuses lines that were timed with another number of threads: they would stand in one table
    /// with those to come.
    ///
    /// # Errors
    /// There is such a line.
    pub fn require_threads(&self, threads: u64) -> Result<()> {
        match self.lines.iter().find(|line| line.threads != threads) {
            None => Ok(()),
            Some(line) => bail!(
                "the stored lines in `{}` were timed with {} threads; expected as many, by --threads, or a run of all \
                 groups",
                self.folder.display(),
                line.threads
            ),
        }
    }

    /// Adds the repetitions of a line to those of the same case; a line without any changes
    /// nothing.
    ///
    /// # Errors
    /// The file system refused.
    pub fn pool(&mut self, mut line: Line) -> Result<()> {
        let Some(stored) = self.lines.iter().find(|other| same_case(other, &line)) else {
            return self.replace(line);
        };
        if line.ms.is_empty() {
            return Ok(());
        }
        // The memory of the first call is the same each time; the first round that told it is kept.
        line.extra_bytes = stored.extra_bytes.or(line.extra_bytes);
        line.ms.splice(0..0, stored.ms.iter().copied());
        self.replace(line)
    }

    /// Writes the description of machine and versions beside the lines.
    ///
    /// # Errors
    /// The file system refused.
    pub fn write_environment(&self, text: &str) -> Result<()> {
        self.write(ENVIRONMENT, text)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        write_atomically(&path, text.as_bytes()).with_context(|| format!("write {}", path.display()))
    }
}

/// Whether two lines are of the same work, done by the same side in the same way.
fn same_case(one: &Line, other: &Line) -> bool {
    one.same_work(other) && (&one.side, &one.variant) == (&other.side, &other.variant)
}

/// The last line that is one of ours: packages sometimes say things on standard output.
///
/// # Errors
/// There is none.
pub fn last_line(text: &str) -> Result<Line> {
    text.lines().rev().find_map(|text| line::one(text).ok()).context("it printed no line of a case")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::cases;

    fn timed(case: &Case, ms: f64) -> Line {
        Line { ms: vec![ms], error: None, ..case.failed(2, None, "") }
    }

    #[test]
    fn a_case_has_one_line_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("peers");
        let plan = cases(true);
        let (one, two, three) = (&plan[0], &plan[1], &plan[2]);
        let mut lines = Lines::open(&folder).unwrap();
        for (case, ms) in [(one, 1.0), (two, 2.0)] {
            lines.replace(timed(case, ms)).unwrap();
        }
        let mut again = Lines::open(&folder).unwrap();
        again.replace(timed(one, 3.0)).unwrap();
        let stored = || Lines::open(&folder).unwrap().lines;
        assert_eq!(stored(), [timed(one, 3.0), timed(two, 2.0)]);
        // Another round's repetitions are added; a round that failed takes nothing away.
        again.pool(timed(one, 5.0)).unwrap();
        again.pool(one.failed(2, None, "no")).unwrap();
        assert_eq!((stored()[0].ms.clone(), stored().len()), (vec![3.0, 5.0], 2));
        assert!(again.require_threads(2).is_ok());
        let error = again.require_threads(1).unwrap_err().to_string();
        assert!(error.contains("timed with 2 threads"), "{error}");
        again.keep_only(std::slice::from_ref(one), None);
        again.replace(timed(three, 1.0)).unwrap();
        let variants: Vec<String> = stored().into_iter().map(|line| line.variant).collect();
        assert_eq!(variants, [one.variant.clone(), three.variant.clone()]);
        // A full run starts anew.
        Lines::empty(&folder).replace(timed(two, 4.0)).unwrap();
        assert_eq!(stored(), [timed(two, 4.0)]);
    }

    #[test]
    fn a_line_is_found_among_other_words_or_missed_by_name() {
        let line = timed(&cases(true)[0], 1.0);
        let text = format!("loading\n{}\nbye 3\n{{}}\n", serde_json::to_string(&line).unwrap());
        assert_eq!(last_line(&text).unwrap(), line);
        assert!(last_line("3\nnothing").unwrap_err().to_string().contains("no line of a case"));
    }
}
