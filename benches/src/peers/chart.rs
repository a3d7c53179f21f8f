//! Charts over the size of the vocabulary: time and extra memory of a training step, each layer on
//! each side.

use super::line::Line;
use lexmax_report::parts::{Chart, Series, Words, growth_chart};

const MIB: f64 = 1024.0 * 1024.0;

/// Names of the charts' files.
pub const FILES: [&str; 2] = ["time", "memory"];

/// Time against V; `None` where no two sizes were timed.
pub fn time(lines: &[Line]) -> Option<Chart> {
    let (rows, width) = sizes(lines)?;
    growth_chart(
        &series(lines, (rows, width), &|line| line.median()),
        &Words {
            file: FILES[0],
            title: "Time of a training step against the vocabulary",
            explanation: &format!("Loss, gradients and update; N={rows}, D={width}. Medians."),
            axis: "milliseconds, log scale",
        },
    )
}

/// Extra memory against V; `None` where no two sizes were measured.
pub fn memory(lines: &[Line]) -> Option<Chart> {
    let (rows, width) = sizes(lines)?;
    growth_chart(
        &series(lines, (rows, width), &|line| line.extra_bytes.map(|bytes| bytes as f64 / MIB)),
        &Words {
            file: FILES[1],
            title: "Extra memory of a training step against the vocabulary",
            explanation: &format!("Peak beyond inputs, parameters and gradients; N={rows}, D={width}."),
            axis: "MiB, log scale",
        },
    )
}

/// Rows and width under which the most steps were timed.
pub(super) fn sizes(lines: &[Line]) -> Option<(u64, u64)> {
    let steps = || lines.iter().filter(|line| line.task == "step" && !line.ms.is_empty());
    let count = |sizes: (u64, u64)| steps().filter(|line| (line.rows, line.width) == sizes).count();
    steps().map(|line| (line.rows, line.width)).max_by_key(|&sizes| (count(sizes), sizes))
}

/// One series for each layer and side, with its value at each V.
pub(super) fn series(lines: &[Line], sizes: (u64, u64), of: &dyn Fn(&Line) -> Option<f64>) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for line in lines.iter().filter(|line| line.task == "step" && (line.rows, line.width) == sizes) {
        let Some(value) = of(line) else { continue };
        let name = name(line);
        let point = (line.classes as f64, value);
        match all.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => {
                all.push(Series { name, family: family(&line.layer).into(), points: vec![point] });
            }
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

/// The layer first, so that the legend reads by layer.
fn name(line: &Line) -> String {
    format!("{}, {}", line.layer, super::table::name(line))
}

/// Colours are those of the families in every other chart.
fn family(layer: &str) -> &str {
    match layer {
        "huffman" => "hierarchical",
        "mos" => "mixture",
        "sampled-unique" => "sampled",
        other => other,
    }
}
