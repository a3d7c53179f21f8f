//! Which lines are set against each other, and how the plan's targets are met.

use super::line::Line;

const MIB: f64 = 1024.0 * 1024.0;

/// One lexmax line beside another line.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// What is compared, for people.
    pub title: String,
    /// lexmax's fused path.
    pub ours: &'a Line,
    /// What it is compared to.
    pub other: &'a Line,
    /// Highest ratio of medians that the plan allows.
    pub time_limit: Option<f64>,
    /// Highest extra memory that the plan allows.
    pub memory_limit: Option<MemoryLimit>,
}

/// A limit on the extra memory of lexmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemoryLimit {
    /// In bytes.
    Bytes(f64),
    /// As a share of the other's.
    Share(f64),
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

    /// Whether the plan says anything about this pair.
    pub fn has_target(&self) -> bool {
        self.time_limit.is_some() || self.memory_limit.is_some()
    }
}

/// A target of the plan: fused lexmax against one way of doing the same work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The layer.
    pub layer: &'static str,
    /// The task.
    pub task: &'static str,
    /// Side and variant of the other.
    pub other: (&'static str, &'static str),
    /// The corpus that a language model reads.
    pub corpus: Option<&'static str>,
    /// Rows, width and classes that the plan names.
    pub sizes: (u64, u64, u64),
    /// Highest ratio of medians.
    pub time: Option<f64>,
    /// Highest extra memory.
    pub memory: Option<MemoryLimit>,
}

/// A target of the plan on growth: a step at the larger V over one at the smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// The layer.
    pub layer: &'static str,
    /// The smaller and the larger V.
    pub classes: [u64; 2],
    /// Highest ratio of medians.
    pub time: f64,
}

const WORDS: u64 = 33_278;
const MANY: u64 = 267_735;
const FLOOR: (&str, &str) = ("lexmax", "products");
const SMALL: MemoryLimit = MemoryLimit::Bytes(32.0 * MIB);

const fn target(
    layer: &'static str,
    task: &'static str,
    other: (&'static str, &'static str),
    sizes: (u64, u64, u64),
    time: f64,
    memory: Option<MemoryLimit>,
) -> Target {
    Target { layer, task, other, corpus: None, sizes, time: Some(time), memory }
}

/// A training step of the PyTorch example's model on WikiText-2, 20 streams of 35 words, so many times as fast.
const fn step_on_text(layer: &'static str, variant: &'static str, times: f64) -> Target {
    let step = target(layer, "language-model", ("pytorch", variant), (700, 200, WORDS), 1.0 / times, None);
    Target { corpus: Some("wikitext-2"), ..step }
}

/// The targets that the plan sets.
pub const TARGETS: &[Target] = &[
    target("full", "train", FLOOR, (1024, 256, WORDS), 1.10, Some(SMALL)),
    target("full", "train", FLOOR, (1024, 512, MANY), 1.10, Some(SMALL)),
    target("full", "train", FLOOR, (8192, 512, MANY), 1.10, Some(SMALL)),
    target("adaptive", "train", ("pytorch", "module"), (1024, 256, MANY), 0.5, None),
    target("sampled", "step", ("pytorch", "dense"), (1024, 512, MANY), 0.1, None),
    target("sampled", "step", ("pytorch", "sparse"), (1024, 512, MANY), 0.7, None),
    target(
        "mos",
        "train",
        ("pytorch", "eager"),
        (256, 256, WORDS),
        0.6,
        Some(MemoryLimit::Share(1.0 / 20.0)),
    ),
    target("full", "evaluate", ("pytorch", "eager"), (1024, 256, WORDS), 0.75, None),
    target("full", "top-10", ("pytorch", "eager"), (1024, 256, WORDS), 0.6, None),
    step_on_text("full", "eager", 1.3),
    step_on_text("adaptive", "module", 1.5),
    step_on_text("sampled", "dense", 2.0),
];

/// The targets on growth with V.
pub const GROWTH: &[Growth] = &[
    Growth { layer: "sampled", classes: [10_000, 1_000_000], time: 1.3 },
    Growth { layer: "sampled-unique", classes: [10_000, 1_000_000], time: 1.3 },
    Growth { layer: "huffman", classes: [10_000, 1_000_000], time: 1.3 },
];

/// Whether a line is what lexmax is judged by.
fn is_ours(line: &Line) -> bool {
    line.side == "lexmax" && line.variant == "fused"
}

/// Every pair of one fused lexmax line with another line of the same work, those with a target of the plan first, then in
/// the order of the lines.
pub fn pairs(lines: &[Line]) -> Vec<Comparison<'_>> {
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
                time_limit: target.and_then(|target| target.time),
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
        title: format!("{}, over V={}", title(ours), crate::format::whole(small as f64)),
        ours,
        other,
        time_limit: Some(growth.time),
        memory_limit: None,
    })
}

/// What a line times, for people.
pub fn title(line: &Line) -> String {
    let count = |value: u64| crate::format::whole(value as f64);
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
