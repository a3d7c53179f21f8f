//! The three splits of a corpus and the names of their files.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Text that the model learns from; the vocabulary and its counts come from here alone.
    Train,
    /// Validation split, for choices made during training.
    Valid,
    /// Test split, for the final figure.
    Test,
}

impl Split {
    /// All splits, in the order of their files.
    pub const ALL: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

    /// `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        }
    }

    /// File of the token ids (u32, little endian).
    pub(crate) fn token_file(self) -> String {
        format!("{}.bin", self.name())
    }

    /// File of the true log-probabilities (f64, little endian, nats).
    pub(crate) fn log_prob_file(self) -> String {
        format!("{}.logp.bin", self.name())
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
