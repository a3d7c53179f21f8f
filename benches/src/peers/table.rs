//! The table of ratios: as text cells for people, as CSV for programs.

use polars::prelude::*;

use super::line::Line;
use super::pairs::Comparison;
use super::targets::MemoryLimit;
use lexmax_report::parts::{NONE, TextTable, fixed, significant, whole};

const MIB: f64 = 1024.0 * 1024.0;

/// Fewer repetitions than this are told beside the median.
const REPETITIONS: usize = 7;

/// One row a comparison.
pub fn text(comparisons: &[Comparison<'_>]) -> TextTable {
    let mut table = TextTable::new(&[
        ("Case", false),
        ("lexmax fused ms, median (quartiles)", true),
        ("Compared to", false),
        ("ms, median (quartiles)", true),
        ("Ratio of medians", true),
        ("Target", true),
        ("Met", false),
        ("Noise", false),
        ("Extra memory lexmax MiB", true),
        ("Extra memory of the other MiB", true),
    ]);
    table.rows = comparisons.iter().map(row).collect();
    table
}

fn row(comparison: &Comparison<'_>) -> Vec<String> {
    let Comparison { ours, other, .. } = comparison;
    let with = if ours.classes == other.classes {
        name(other)
    } else {
        format!("itself at V={}", whole(other.classes as f64))
    };
    vec![
        comparison.title.clone(),
        times(ours),
        with,
        times(other),
        comparison.ratio().map_or(NONE.into(), |ratio| significant(ratio, 3)),
        target(comparison),
        met(comparison).into(),
        noise(comparison),
        memory(ours),
        memory(other),
    ]
}

fn noise(comparison: &Comparison<'_>) -> String {
    let notes = comparison.noise();
    if notes.is_empty() { NONE.into() } else { notes.join(", ") }
}

/// Side and variant, for people.
pub fn name(line: &Line) -> String {
    let side = match line.side.as_str() {
        "pytorch" => "PyTorch",
        "tensorflow" => "TensorFlow",
        other => other,
    };
    format!("{side} {}", line.variant)
}

fn times(line: &Line) -> String {
    let Some([low, median, high]) = line.quartiles() else {
        return line.error.as_ref().map_or(NONE.into(), |_| "failed".into());
    };
    let ms = |value: f64| significant(value, 3);
    let count = line.ms.len();
    if count == 1 {
        return format!("{} (once)", ms(median));
    }
    let few = if count < REPETITIONS { format!(", {count} times") } else { String::new() };
    format!("{} ({}–{}){few}", ms(median), ms(low), ms(high))
}

fn memory(line: &Line) -> String {
    line.extra_bytes.map_or(NONE.into(), |bytes| fixed(bytes as f64 / MIB, 1))
}

fn target(comparison: &Comparison<'_>) -> String {
    let time = comparison.time_limit.map(|limit| format!("ratio ≤ {}", (limit * 1e3).round() / 1e3));
    let memory = comparison.memory_limit.map(|limit| match limit {
        MemoryLimit::Bytes(bytes) => format!("memory ≤ {} MiB", whole(bytes / MIB)),
        MemoryLimit::Share(share) => format!("memory ≤ 1/{} of it", whole(1.0 / share)),
    });
    let parts: Vec<String> = time.into_iter().chain(memory).collect();
    if parts.is_empty() { NONE.into() } else { parts.join(", ") }
}

fn met(comparison: &Comparison<'_>) -> &'static str {
    let verdicts = [
        (comparison.time_limit.is_some(), comparison.time_met()),
        (comparison.memory_limit.is_some(), comparison.memory_met()),
    ];
    let mut asked = verdicts.iter().filter(|(asked, _)| *asked).map(|(_, met)| *met).peekable();
    if asked.peek().is_none() {
        return NONE;
    }
    let answers: Vec<Option<bool>> = asked.collect();
    match () {
        () if answers.contains(&Some(false)) => "no",
        () if answers.contains(&None) => "not measured",
        () => "yes",
    }
}

/// Comparisons as a data table.
pub fn data(comparisons: &[Comparison<'_>]) -> PolarsResult<DataFrame> {
    let text = |name: &str, of: &dyn Fn(&Comparison<'_>) -> String| {
        Column::new(name.into(), comparisons.iter().map(of).collect::<Vec<_>>())
    };
    let count = |name: &str, of: &dyn Fn(&Comparison<'_>) -> u64| {
        Column::new(name.into(), comparisons.iter().map(of).collect::<Vec<_>>())
    };
    let number = |name: &str, of: &dyn Fn(&Comparison<'_>) -> Option<f64>| {
        Column::new(name.into(), comparisons.iter().map(of).collect::<Vec<_>>())
    };
    let flag = |name: &str, of: &dyn Fn(&Comparison<'_>) -> Option<bool>| {
        Column::new(name.into(), comparisons.iter().map(of).collect::<Vec<_>>())
    };
    let quartile = |line: &Line, which: usize| line.quartiles().map(|all| all[which]);
    let mib = |line: &Line| line.extra_bytes.map(|bytes| bytes as f64 / MIB);
    DataFrame::new_infer_height(vec![
        text("layer", &|c| c.ours.layer.clone()),
        text("task", &|c| c.ours.task.clone()),
        text("corpus", &|c| c.ours.corpus.clone().unwrap_or_default()),
        count("rows", &|c| c.ours.rows),
        count("width", &|c| c.ours.width),
        count("classes", &|c| c.ours.classes),
        count("threads", &|c| c.ours.threads),
        count("lexmax_repetitions", &|c| c.ours.ms.len() as u64),
        number("lexmax_ms_q1", &|c| quartile(c.ours, 0)),
        number("lexmax_ms_median", &|c| quartile(c.ours, 1)),
        number("lexmax_ms_q3", &|c| quartile(c.ours, 2)),
        text("other_side", &|c| c.other.side.clone()),
        text("other_variant", &|c| c.other.variant.clone()),
        count("other_classes", &|c| c.other.classes),
        count("other_repetitions", &|c| c.other.ms.len() as u64),
        number("other_ms_q1", &|c| quartile(c.other, 0)),
        number("other_ms_median", &|c| quartile(c.other, 1)),
        number("other_ms_q3", &|c| quartile(c.other, 2)),
        number("ratio", &|c| c.ratio()),
        number("ratio_target", &|c| c.time_limit),
        flag("ratio_met", &|c| c.time_met()),
        text("noise", &|c| c.noise().join(", ")),
        number("lexmax_extra_mib", &|c| mib(c.ours)),
        number("other_extra_mib", &|c| mib(c.other)),
        flag("memory_met", &|c| c.memory_met()),
    ])
}
