//! Pairs of lines that are compared, and the targets that they meet.

use lexmax_report::parts::whole;

use super::line::Line;
use super::targets::{GROWTH, Growth, MemoryLimit, TARGETS};

/// Repetitions whose quartiles are further apart than this share of the median are noisy.
const MOST_SPREAD: f64 = 0.15;
/// A floor whose processors worked less than this share of the time had to wait for others.
const LEAST_BUSY: f64 = 0.93;

/// One lexmax line beside another line.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// Title of the case, for people.
    pub title: String,
    /// lexmax's fused path.
    pub ours: &'a Line,
    /// Line that it is compared to.
    pub other: &'a Line,
    /// Highest ratio of medians that the plan allows.
    pub time_limit: Option<f64>,
    /// Highest extra memory that the plan allows.
    pub memory_limit: Option<MemoryLimit>,
}

impl Comparison<'_> {
    /// Ratio of the medians, ours over the other's.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.ours.median()? / self.other.median()?)
    }

    /// Whether the ratio is within its limit; `None` without a limit or a ratio.
    pub fn time_met(&self) -> Option<bool> {
        Some(self.ratio()? <= self.time_limit?)
    }

    /// Whether the extra memory is within its limit; `None` without a limit or a measurement.
    pub fn memory_met(&self) -> Option<bool> {
        let ours = self.ours.extra_bytes? as f64;
        let limit = match self.memory_limit? {
            MemoryLimit::Bytes(bytes) => bytes,
            MemoryLimit::Share(share) => share * self.other.extra_bytes? as f64,
        };
        Some(ours <= limit)
    }

    /// Reasons to doubt the ratio: repetitions that differ much, a machine whose processors
    /// worked for others too. Empty on a quiet machine.
    pub fn noise(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let mut notes = Vec::new();
        for (name, line) in [("lexmax", self.ours), ("other", self.other)] {
            if let Some(spread) = line.spread().filter(|spread| *spread > MOST_SPREAD) {
                notes.push(format!("{name} spreads {}", percent(spread)));
            }
            if let Some(busy) = line.busy.filter(|busy| *busy < LEAST_BUSY) {
                notes.push(format!("{name} waited {}", percent(1.0 - busy)));
            }
        }
        notes
    }

    /// Whether the plan says anything about this pair.
    pub fn has_target(&self) -> bool {
        self.time_limit.is_some() || self.memory_limit.is_some()
    }
}

/// Whether a line is a case that lexmax is measured against.
fn is_ours(line: &Line) -> bool {
    line.side == "lexmax" && line.variant == "fused"
}

/// Every pair of one fused lexmax line with another line of the same work, timed on a processor of
/// that name; those with a target of the plan first, then in the order of the lines.
pub fn pairs<'a>(lines: &'a [Line], cpu: &str) -> Vec<Comparison<'a>> {
    let mut found: Vec<Comparison<'_>> = Vec::new();
    for ours in lines.iter().filter(|line| is_ours(line)) {
        for other in lines.iter().filter(|other| !is_ours(other) && other.same_work(ours)) {
            let sizes = (ours.rows, ours.width, ours.classes);
            let target = TARGETS.iter().find(|target| {
                target.layer == ours.layer
                    && target.task == ours.task
                    && target.corpus == ours.corpus.as_deref()
                    && target.other == (other.side.as_str(), other.variant.as_str())
                    && target.sizes == sizes
            });
            found.push(Comparison {
                title: title(ours),
                ours,
                other,
                time_limit: target.and_then(|target| target.time.on(cpu)),
                memory_limit: target.and_then(|target| target.memory),
            });
        }
    }
    found.extend(GROWTH.iter().filter_map(|growth| grown(lines, growth)));
    found.sort_by_key(|comparison| !comparison.has_target());
    found
}

/// The step at the larger V beside that at the smaller, of the same other sizes.
fn grown<'a>(lines: &'a [Line], growth: &Growth) -> Option<Comparison<'a>> {
    let steps = |classes: u64| {
        lines.iter().filter(move |line| {
            is_ours(line) && line.layer == growth.layer && line.task == "step" && line.classes == classes
        })
    };
    let [small, large] = growth.classes;
    let pair = steps(large).find_map(|ours| {
        let alike =
            |other: &&Line| (other.rows, other.width, other.threads) == (ours.rows, ours.width, ours.threads);
        Some((ours, steps(small).find(alike)?))
    });
    let (ours, other) = pair?;
    Some(Comparison {
        title: format!("{}, over V={}", title(ours), whole(small as f64)),
        ours,
        other,
        time_limit: Some(growth.time),
        memory_limit: None,
    })
}

/// Title of the work that a line times, for people.
pub fn title(line: &Line) -> String {
    let count = |value: u64| whole(value as f64);
    format!(
        "{} {}{}, N={} D={} V={}",
        line.layer,
        line.task,
        line.corpus.as_ref().map_or_else(String::new, |corpus| format!(" on {corpus}")),
        count(line.rows),
        count(line.width),
        count(line.classes)
    )
}
