//! The cases of the comparison, in the order in which they run: what each side does, on which
//! sizes, for how long.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::peers::Line;
use crate::{Layer, Sizes, Task, Work};

/// One case: one process that times one piece of work on one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The name that `cargo xtask peers --only` chooses by.
    pub group: String,
    /// Package that runs the case: `lexmax`, `pytorch` or `tensorflow`.
    pub side: String,
    /// Variant, by the package's own name for it.
    pub variant: String,
    /// Work that is done.
    #[serde(flatten)]
    pub work: Work,
    /// Budget of time for the repetitions.
    pub seconds: f64,
}

impl Case {
    /// Options by which every side is told the case; threads and corpus are the timer's.
    pub fn options(&self) -> Vec<String> {
        let Work { layer, task, sizes: Sizes { rows, width, classes } } = self.work;
        let options: [(&str, String); 7] = [
            ("--layer", layer.name()),
            ("--task", task.name()),
            ("--rows", rows.to_string()),
            ("--width", width.to_string()),
            ("--classes", classes.to_string()),
            ("--variant", self.variant.clone()),
            ("--seconds", self.seconds.to_string()),
        ];
        options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }

    /// Line of the case where it gave none; `corpus` is what language models read.
    pub fn failed(&self, threads: u64, corpus: Option<&str>, why: &str) -> Line {
        let Work { layer, task, sizes: Sizes { rows, width, classes } } = self.work;
        Line {
            side: self.side.clone(),
            layer: layer.name(),
            variant: self.variant.clone(),
            task: task.name(),
            corpus: corpus.filter(|_| task == Task::LanguageModel).map(str::to_owned),
            rows: rows.unsigned_abs(),
            width: width.unsigned_abs(),
            classes: classes.unsigned_abs(),
            threads,
            software: String::new(),
            ms: Vec::new(),
            extra_bytes: None,
            busy: None,
            deviation: None,
            commit: None,
            error: Some(why.to_owned()),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { layer, task, sizes: Sizes { rows, width, classes } } = self.work;
        let (side, variant) = (&self.side, &self.variant);
        write!(f, "{side} {} {variant} {}, N={rows} D={width} V={classes}", layer.name(), task.name())
    }
}

/// Sides and variants; those of lexmax are `fused`, `reference`, and the bare products of libtorch
/// and of the crate `gemm`.
type Ways = &'static [(&'static str, &'static str)];

const FUSED: (&str, &str) = ("lexmax", "fused");
const REFERENCE: (&str, &str) = ("lexmax", "reference");
const FLOOR: (&str, &str) = ("lexmax", "products");
const GEMM: (&str, &str) = ("lexmax", "products-gemm");
const EAGER: (&str, &str) = ("pytorch", "eager");
const CHUNKED: (&str, &str) = ("pytorch", "linear_cross_entropy");
const QUARTERS: (&str, &str) = ("pytorch", "linear_cross_entropy_quarters");

/// Sizes of the vocabulary in the charts.
const GRID: [i64; 5] = [10_000, 33_278, 100_000, 267_735, 1_000_000];
/// Words of WikiText-2 and of WikiText-103.
const WORDS: i64 = 33_278;
const MANY: i64 = 267_735;

/// Every case. The quick plan leaves out the large vocabularies, takes fewer rows, and a short time
/// for each case: it shows that everything works, and its numbers are for orientation.
pub fn cases(quick: bool) -> Vec<Case> {
    let (rows, seconds) = if quick { (256, 0.3) } else { (1024, 2.0) };
    let many = if quick { WORDS } else { MANY };
    let mut plan = Plan(Vec::new());
    let full = ("full", Layer::Full, Task::Train);
    let ways: Ways =
        &[FUSED, REFERENCE, FLOOR, GEMM, ("pytorch", "products"), EAGER, ("pytorch", "compiled"), QUARTERS];
    plan.add(full, [rows, 256, WORDS], seconds, ways);
    if !quick {
        // One call with the chunks of its defaults takes longer than all other cases of the quick
        // plan.
        plan.add(full, [rows, 256, WORDS], seconds, &[CHUNKED]);
        // A call takes seconds here, at N=8192 three quarters of a minute: the budget is for few
        // repetitions.
        let large = ("full-large", Layer::Full, Task::Train);
        plan.add(large, [1024, 512, MANY], 5.0, &[FUSED, FLOOR, GEMM, QUARTERS, EAGER]);
        plan.add(large, [8192, 512, MANY], 30.0, &[FUSED, FLOOR]);
    }
    plan.add(
        ("adaptive", Layer::Adaptive, Task::Train),
        [rows, 256, many],
        seconds,
        &[FUSED, REFERENCE, ("pytorch", "module")],
    );
    plan.add(
        ("sampled", Layer::Sampled, Task::Step),
        [rows, 512, many],
        seconds,
        &[FUSED, REFERENCE, ("pytorch", "sparse"), ("pytorch", "dense")],
    );
    // TensorFlow's function draws without replacement where it draws itself.
    plan.add(
        ("sampled", Layer::SampledUnique, Task::Step),
        [rows, 512, many],
        seconds,
        &[FUSED, REFERENCE, ("tensorflow", "sampled_softmax_loss")],
    );
    let mos = if quick { 10_000 } else { WORDS };
    plan.add(("mos", Layer::Mos, Task::Train), [256, 256, mos], seconds, &[FUSED, REFERENCE, EAGER]);
    let exact: Ways = &[FUSED, REFERENCE, FLOOR, EAGER];
    plan.add(("evaluate", Layer::Full, Task::Evaluate), [rows, 256, WORDS], seconds, exact);
    plan.add(("top-10", Layer::Full, Task::TopTen), [rows, 256, WORDS], seconds, exact);
    // The model of the PyTorch example on WikiText-2: 20 streams of 35 words, width 200.
    let models: [(Layer, Ways); 3] = [
        (Layer::Full, &[FUSED, REFERENCE, EAGER, ("pytorch", "sparse")]),
        (Layer::Adaptive, &[FUSED, REFERENCE, ("pytorch", "module"), ("pytorch", "sparse")]),
        (Layer::Sampled, &[FUSED, REFERENCE, ("pytorch", "dense"), ("pytorch", "sparse")]),
    ];
    for (layer, ways) in models {
        plan.add(("language-model", layer, Task::LanguageModel), [700, 200, WORDS], 2.0 * seconds, ways);
    }
    let grid: [(Layer, Ways); 5] = [
        (Layer::Full, &[FUSED, EAGER]),
        (Layer::Adaptive, &[FUSED, ("pytorch", "module")]),
        (Layer::Sampled, &[FUSED, ("pytorch", "sparse")]),
        (Layer::SampledUnique, &[FUSED]),
        (Layer::Huffman, &[FUSED]),
    ];
    for classes in if quick { &GRID[..2] } else { &GRID[..] } {
        for (layer, ways) in grid {
            plan.add(("grid", layer, Task::Step), [256, 256, *classes], seconds / 2.0, ways);
        }
    }
    plan.0
}

struct Plan(Vec<Case>);

impl Plan {
    fn add(
        &mut self,
        (group, layer, task): (&str, Layer, Task),
        [rows, width, classes]: [i64; 3],
        seconds: f64,
        ways: Ways,
    ) {
        self.0.extend(ways.iter().map(|(side, variant)| Case {
            group: group.to_owned(),
            side: (*side).to_owned(),
            variant: (*variant).to_owned(),
            work: Work { layer, task, sizes: Sizes { rows, width, classes } },
            seconds,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::pairs;
    use crate::peers::targets::{GROWTH, TARGETS};

    fn line(case: &Case) -> Line {
        Line { ms: vec![1.0], extra_bytes: Some(1), error: None, ..case.failed(2, Some("wikitext-2"), "") }
    }

    #[test]
    fn plan_measures_every_target_and_no_case_twice() {
        let cases = cases(false);
        let lines: Vec<Line> = cases.iter().map(line).collect();
        let found = pairs(&lines, "an AMD processor");
        let measured = found.iter().filter(|comparison| comparison.has_target()).count();
        assert_eq!(measured, TARGETS.len() + GROWTH.len());
        for (i, line) in lines.iter().enumerate() {
            assert!(!lines[..i].contains(line), "{line:?} twice");
        }
    }

    #[test]
    fn the_quick_plan_is_small_and_has_groups_of_the_full_one() {
        let (all, quick) = (cases(false), cases(true));
        assert!(quick.iter().all(|case| all.iter().any(|other| other.group == case.group)));
        assert!(quick.iter().all(|case| case.work.sizes.classes <= WORDS));
    }
}
