//! Targets that lexmax is measured against: ratios of medians and extra memory, at the sizes of
//! [`crate::plan`].

const MIB: f64 = 1024.0 * 1024.0;

/// A limit on the extra memory of lexmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemoryLimit {
    /// Limit in bytes.
    Bytes(f64),
    /// Share of the other's.
    Share(f64),
}

/// Highest ratio of medians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeLimit {
    /// One for every processor.
    Any(f64),
    /// One for each maker of processors: PyTorch's own products are faster on some.
    ByMaker {
        /// On Intel's.
        intel: f64,
        /// On AMD's.
        amd: f64,
    },
}

impl TimeLimit {
    /// The limit on a processor of a name; none on one of another maker than the limit speaks of.
    pub fn on(self, cpu: &str) -> Option<f64> {
        match self {
            Self::Any(limit) => Some(limit),
            Self::ByMaker { intel, .. } if cpu.contains("Intel") => Some(intel),
            Self::ByMaker { amd, .. } if cpu.contains("AMD") => Some(amd),
            Self::ByMaker { .. } => None,
        }
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
    pub time: TimeLimit,
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
/// The bare products by libtorch and by the crate `gemm`: the limit holds for the faster of them.
const FLOORS: [(&str, &str); 2] = [("lexmax", "products"), ("lexmax", "products-gemm")];
const SMALL: MemoryLimit = MemoryLimit::Bytes(32.0 * MIB);
const EAGER: (&str, &str) = ("pytorch", "eager");

const fn target(
    layer: &'static str,
    task: &'static str,
    other: (&'static str, &'static str),
    sizes: (u64, u64, u64),
    time: f64,
    memory: Option<MemoryLimit>,
) -> Target {
    Target { layer, task, other, corpus: None, sizes, time: TimeLimit::Any(time), memory }
}

/// A training step of the PyTorch example's model on WikiText-2, 20 streams of 35 words, over one
/// way of PyTorch.
const fn step_on_text(layer: &'static str, variant: &'static str, time: f64) -> Target {
    let step = target(layer, "language-model", ("pytorch", variant), (700, 200, WORDS), time, None);
    Target { corpus: Some("wikitext-2"), ..step }
}

/// The targets that the plan sets.
pub const TARGETS: &[Target] = &[
    target("full", "train", FLOORS[0], (1024, 256, WORDS), 1.10, Some(SMALL)),
    target("full", "train", FLOORS[1], (1024, 256, WORDS), 1.10, Some(SMALL)),
    target("full", "train", FLOORS[0], (1024, 512, MANY), 1.25, None),
    target("full", "train", FLOORS[1], (1024, 512, MANY), 1.25, None),
    Target {
        time: TimeLimit::ByMaker { intel: 0.75, amd: 0.45 },
        ..target("full", "train", EAGER, (1024, 256, WORDS), 0.0, None)
    },
    target("adaptive", "train", ("pytorch", "module"), (1024, 256, MANY), 0.5, None),
    target("sampled", "step", ("pytorch", "dense"), (1024, 512, MANY), 0.1, None),
    target("sampled", "step", ("pytorch", "sparse"), (1024, 512, MANY), 0.4, None),
    target("sampled-unique", "step", ("tensorflow", "sampled_softmax_loss"), (1024, 512, MANY), 0.6, None),
    target("mos", "train", EAGER, (256, 256, WORDS), 0.5, Some(MemoryLimit::Share(1.0 / 20.0))),
    target("full", "evaluate", EAGER, (1024, 256, WORDS), 0.6, None),
    target("full", "top-10", EAGER, (1024, 256, WORDS), 0.6, None),
    step_on_text("full", "eager", 0.75),
    step_on_text("full", "sparse", 0.75),
    step_on_text("adaptive", "module", 0.6),
    step_on_text("adaptive", "sparse", 0.6),
    step_on_text("sampled", "dense", 0.6),
    step_on_text("sampled", "sparse", 0.6),
];

/// The targets on growth with V.
pub const GROWTH: &[Growth] = &[
    Growth { layer: "sampled", classes: [10_000, 1_000_000], time: 1.3 },
    Growth { layer: "sampled-unique", classes: [10_000, 1_000_000], time: 1.3 },
    Growth { layer: "huffman", classes: [10_000, 1_000_000], time: 1.3 },
];
