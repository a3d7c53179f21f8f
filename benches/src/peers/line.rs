//! The lines that a comparison with other packages leaves behind: one JSON object a case.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// Result of one process: one case on one side. All fields are named, so that scripts in any
/// language can write them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Whose work was timed: `lexmax`, `pytorch` or `tensorflow`.
    pub side: String,
    /// The output layer, as in `full`.
    pub layer: String,
    /// The way that the side computes it, as in `fused` or `eager`; `products` are the bare matrix
    /// products.
    pub variant: String,
    /// Timed work: `train` (loss and gradients), `step` (these and the update), `language-model`,
    /// `evaluate` or `top-10`.
    pub task: String,
    /// The corpus that a language model read, by its name; none where the ids follow Zipf's law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<String>,
    /// Rows of the batch, `N`.
    pub rows: u64,
    /// Width of the hidden states, `D`.
    pub width: u64,
    /// Classes, `V`.
    pub classes: u64,
    /// Threads that the side was given.
    pub threads: u64,
    /// Package and version.
    #[serde(default)]
    pub software: String,
    /// Every timed repetition, in milliseconds; none where the case failed.
    #[serde(default)]
    pub ms: Vec<f64>,
    /// Peak memory of a first call beyond inputs, parameters and gradients; none where it means
    /// nothing or is not known.
    #[serde(default)]
    pub extra_bytes: Option<u64>,
    /// Share of its threads' time that processors worked: less than one on a machine that others
    /// keep busy. Told where the work itself never waits, by the bare products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// Largest deviation of the answer from its definition in f64, relative; none where nothing was
    /// compared.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Commit of the lexmax that the line was timed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Error in place of a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Line {
    /// Lower quartile, median and upper quartile of the repetitions in milliseconds, between
    /// neighbours in proportion; `None` without repetitions.
    ///
    /// ```
    /// # use lexmax_benches::peers::Line;
    /// let line = r#"{"side": "lexmax", "layer": "full", "variant": "fused", "task": "train", "rows": 8, "width": 4,
    ///     "classes": 100, "threads": 2, "ms": [4.0, 1.0, 2.0, 3.0]}"#;
    /// let line: Line = serde_json::from_str(line)?;
    /// assert_eq!(line.quartiles(), Some([1.75, 2.5, 3.25]));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn quartiles(&self) -> Option<[f64; 3]> {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        Some([0.25, 0.5, 0.75].map(|share| {
            let place = share * last as f64;
            let below = place.floor() as usize;
            let above = (below + 1).min(last);
            sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
        }))
    }

    /// The median of the repetitions in milliseconds.
    pub fn median(&self) -> Option<f64> {
        self.quartiles().map(|[_, median, _]| median)
    }

    /// Upper less lower quartile, over the median.
    pub fn spread(&self) -> Option<f64> {
        self.quartiles().map(|[low, median, high]| (high - low) / median)
    }

    /// Whether both lines time the same work on the same sizes and text, whoever does it.
    pub fn same_work(&self, other: &Self) -> bool {
        let what = |line: &Self| (line.layer.clone(), line.task.clone(), line.corpus.clone());
        let sizes = |line: &Self| (line.rows, line.width, line.classes, line.threads);
        what(self) == what(other) && sizes(self) == sizes(other)
    }
}

/// Reads lines from the text of a file.
///
/// # Errors
/// The first line that is no such object, with its number; a repetition that is no positive time.
pub fn read(path: &Path, text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = one(text).with_context(|| {
            format!("{}, line {} (`cargo xtask peers` writes it)", path.display(), number + 1)
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// Reads one line.
///
/// # Errors
/// The text is no such object, a repetition is no positive time, or it has neither times nor an
/// error.
pub fn one(text: &str) -> Result<Line> {
    let line: Line = serde_json::from_str(text)?;
    if let Some(bad) = line.ms.iter().find(|ms| !ms.is_finite() || **ms <= 0.0) {
        anyhow::bail!("a repetition of {bad} ms, expected a finite number above zero");
    }
    ensure!(!line.ms.is_empty() || line.error.is_some(), "neither `ms` nor `error`, expected one of them");
    Ok(line)
}
