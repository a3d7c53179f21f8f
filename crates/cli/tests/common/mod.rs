//! The binary in a folder of its own.
#![allow(clippy::unwrap_used, dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A project folder with `experiments/small.toml`.
pub struct Project {
    folder: tempfile::TempDir,
}

/// Two outputs on a language of 60 words; a run takes a fraction of a second.
pub const SMALL: &str = r#"
[corpus.synthetic]
vocab_size = 60
classes = 4
order = 1
train_tokens = 4000
valid_tokens = 400
test_tokens = 400

[backbone]
kind = "ngram"
context = 2
embedding = 8
hidden = 12

[training]
batch = 4
bptt = 8
optimizer = { kind = "adam" }
learning_rate = 0.01
budget = { tokens = 1600 }
eval_points = 2
seeds = [1, 2]
threads = 1

[[outputs]]
name = "full"
layer = "full"

[[outputs]]
name = "adaptive"
layer = "adaptive"
cutoffs = [10, 30]
"#;

impl Project {
    pub fn new(experiment: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.write("experiments/small.toml", experiment);
        project
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub fn write(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn lexmax(&self, arguments: &[&str]) -> Answer {
        self.lexmax_into(arguments, Stdio::piped())
    }

    /// Runs `lexmax` with its standard output redirected.
    pub fn lexmax_into(&self, arguments: &[&str], out: Stdio) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lexmax"));
        Answer(command.current_dir(self.folder.path()).args(arguments).stdout(out).output().unwrap())
    }

    /// The records below `results/small`, by file name.
    pub fn records(&self) -> Vec<serde_json::Value> {
        read_records(&self.path("results/small/runs"))
    }
}

pub fn read_records(folder: &Path) -> Vec<serde_json::Value> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// Exit status and output of the binary.
pub struct Answer(pub Output);

impl Answer {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Checks that it went well.
    pub fn good(self) -> Self {
        assert!(self.0.status.success(), "out: {}\nerr: {}", self.out(), self.err());
        self
    }

    /// Checks its exit status.
    pub fn ended_with(self, status: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(status), "out: {}\nerr: {}", self.out(), self.err());
        self
    }

    /// Checks that it was refused, and returns the one message.
    pub fn refused(self) -> String {
        assert_eq!(self.0.status.code(), Some(1), "out: {}\nerr: {}", self.out(), self.err());
        let text = self.err();
        assert!(text.starts_with("error: "), "{text}");
        text
    }
}
